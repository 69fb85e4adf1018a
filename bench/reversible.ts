import { median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide } from "./sides.ts";

/** What a child measures: the peak memory of one training pass of a stack, reversible or not. */
export type ReversibleJob = {
  readonly reversible: boolean;
  readonly layers: number;
  readonly length: number;
  readonly width: number;
  readonly heads: number;
  /** Positions that attention sees: a causal window. */
  readonly window: number;
  readonly threads: number;
};

/** What the child prints. */
export type ReversibleResult = {
  readonly value: number;
  readonly runMs: number;
  /** Most memory ever resident during the pass, less parameters and their gradients. */
  readonly peakBytes: number;
  /** Of it, what the prepared program took before the pass: nodes and constants of every layer. */
  readonly programBytes: number;
};

const sizes = { length: 4096, width: 256, heads: 4, window: 256, threads: 2 };
const [few, many] = [6, 24];

/** Peak memory of a training pass of 24 blocks beside that of 6, of reversible and of ordinary blocks; parameters not counted. */
export async function measureReversible(rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const reversible of [true, false]) {
    const name = reversible ? "reversible blocks" : "ordinary blocks";
    const sides = [few, many].map((layers) => ourSide<ReversibleJob>("reversible", { reversible, layers, ...sizes }));
    const [six, all] = await measureInTurn(sides, rounds, check);
    const row = (metric: string, unit: string, ours: number | null): Row => {
      return { name, metric, unit, ours, peer: null, peerName: null, ratio: null };
    };
    const compare = (what: string, read: (result: ReversibleResult) => number): Row[] => {
      const [low, high] = [six, all].map((results) => (results?.length ? median(results.map(read)) : null));
      if (low == null || high == null) return [];
      return [
        row(`${what}, ${few} layers`, "MB", low / 1e6),
        row(`${what}, ${many} layers`, "MB", high / 1e6),
        row(`${what}, ${many} layers over ${few}`, "×", high / low),
      ];
    };
    rows.push(...compare("peak memory", ({ peakBytes }) => peakBytes));
    rows.push(...compare("without the program", ({ peakBytes, programBytes }) => peakBytes - programBytes));
  }
  return rows;
}

function check(result: unknown, side: Side): ReversibleResult {
  const found = result as ReversibleResult;
  if (!Number.isFinite(found.value)) throw new Error(`${side.name}: expected a finite loss, got ${found.value}`);
  return found;
}
