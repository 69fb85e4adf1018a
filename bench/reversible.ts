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
  readonly activationBytes: number;
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
    const bytes = (results: readonly ReversibleResult[] | undefined): number | null =>
      results === undefined || results.length === 0
        ? null
        : median(results.map(({ activationBytes }) => activationBytes));
    const [low, high] = [bytes(six), bytes(all)];
    const row = (metric: string, unit: string, ours: number | null): Row => {
      return { name, metric, unit, ours, peer: null, peerName: null, ratio: null };
    };
    rows.push(
      row(`peak memory of ${few} layers`, "MB", low === null ? null : low / 1e6),
      row(`peak memory of ${many} layers`, "MB", high === null ? null : high / 1e6),
      row(
        `${many} layers over ${few} (target 1.3, reversible)`,
        "×",
        low === null || high === null ? null : high / low,
      ),
    );
  }
  return rows;
}

function check(result: unknown, side: Side): ReversibleResult {
  const found = result as ReversibleResult;
  if (!Number.isFinite(found.value)) throw new Error(`${side.name}: expected a finite loss, got ${found.value}`);
  return found;
}
