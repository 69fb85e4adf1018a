import { type AttentionMember, attentionMembers, chooseMembers, type Settings } from "./attention-members.ts";
import { type AttentionMeasurement, attentionTable } from "./attention-table.ts";
import { type Bench, type BenchOptions, compareRow, least, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { measureReversible } from "./reversible.ts";
import { ourSide, pytorchSide } from "./sides.ts";
import { formatTable } from "./table.ts";
import { attentionGflop } from "./workload.ts";

/** What a child of this bench measures: one layer of one mechanism at one length. */
export type AttentionJob = Pick<AttentionMember, "kind" | "entry" | "causal"> & {
  /** The peer's function. */
  readonly peer: string | undefined;
  readonly settings: Settings;
  readonly length: number;
  readonly width: number;
  readonly heads: number;
  readonly threads: number;
  /** Timed passes end when all passes together took this long, but one is always timed. */
  readonly budgetMs: number;
  /** The most timed passes. */
  readonly most: number;
};

/** What a child of this bench prints. */
export type AttentionResult = {
  /**
   * Milliseconds of each timed pass, forward and backward: the loss `sum(y · w)` for fixed random w, read back, and the gradients of
   * it with respect to x and to all parameters.
   */
  readonly runMs: readonly number[];
  /** Most memory ever resident, less what was resident with the runtime loaded and before the layer was built. */
  readonly peakBytes: number;
  /** The same of the passes alone, without tracing and preparing them; absent where there is nothing to prepare. */
  readonly runPeakBytes?: number;
  /** Claimed exponent of the length in time; only ours says it. */
  readonly exponent?: number;
  readonly parameters: number;
  /** Operations of a pass forward, as our program has them; only ours says it. */
  readonly forwardGflop?: number;
  /** The loss. */
  readonly value: number;
};

const lengthsUnlessTold = [256, 512, 1024, 2048, 4096, 16_384];
/** In a run of all benches: where they are compared, and the longest for slopes and memory. */
const reportedLengths = [4096, 16_384];
/** Where mechanisms are compared with full attention and with peers: the longest measured length up to this. */
const comparedAt = 4096;
/** Beside the mechanisms: memory of stacks of blocks, which `--only` chooses by this name. */
const reversible = "reversible";
const sizes = { width: 256, heads: 4, threads: 2, budgetMs: 3000, most: 25 };

/** One layer of every mechanism, projections included, forward and backward, at many lengths. */
export const attentionBench: Bench = {
  name: "attention",
  about:
    "every attention mechanism at lengths up to 16,384, beside full attention and PyTorch (15 min; only when named)",
  onlyWhenNamed: true,
  run: measureAll,
  table: (rows) => {
    const stacks = rows.filter(({ length }) => length === undefined);
    const layers = attentionTable(measurementsOf(rows.filter(({ length }) => length !== undefined)), comparedAt);
    if (stacks.length === 0) return layers;
    return stacks.length === rows.length ? formatTable(stacks) : `${layers}\n\n${formatTable(stacks)}`;
  },
};

async function measureAll(options: BenchOptions): Promise<Row[]> {
  const { rounds, only, peers = false, lengths = options.isWhole ? reportedLengths : lengthsUnlessTold } = options;
  const members = chooseMembers(
    only?.filter((name) => name !== reversible),
    [reversible],
  );
  const compared = Math.max(...lengths.filter((length) => length <= Math.max(comparedAt, Math.min(...lengths))));
  const rows: Row[] = [];
  for (const length of [...lengths].sort((a, b) => a - b)) {
    const jobs = members.map((member) => ({ member, job: jobOf(member, length) }));
    const rivals = peers && length === compared ? jobs.filter(({ member }) => member.peer !== undefined) : [];
    const ours = jobs.map(({ member, job }) => named(member, ourSide("attention", job)));
    const theirs = rivals.map(({ member, job }) => named(member, pytorchSide("attention.py", job)));
    // Every round passes through all of them, so that a slow spell of the machine falls on few rounds of many mechanisms.
    const sides = ours.flatMap((side, i) => [side, ...theirs.filter((_, at) => rivals[at] === jobs[i])]);
    const results = await measureInTurn(sides, rounds, (result, side) =>
      check(result as AttentionResult, side, length),
    );
    const of = (side: Side | undefined) => (side === undefined ? [] : results[sides.indexOf(side)]!);
    for (const [i, one] of jobs.entries()) {
      const peer = of(theirs[rivals.indexOf(one)]);
      rows.push(...rowsOf(one.member, length, of(ours[i]), peer));
      const [mine, its] = [of(ours[i])[0]?.parameters, peer[0]?.parameters];
      if (its !== undefined && its !== mine) console.error(`  ${one.member.name}: ${mine} parameters, PyTorch ${its}`);
    }
  }
  return only === undefined || only.includes(reversible) ? [...rows, ...(await measureReversible(rounds))] : rows;
}

function named({ name }: AttentionMember, side: Side): Side {
  return { ...side, name: `${name} (${side.name})` };
}

export function jobOf({ kind, entry, causal, settings, peer }: AttentionMember, length: number): AttentionJob {
  return { kind, entry, causal, peer, settings: settings(length), length, ...sizes };
}

/** No figure is reported of a layer that gives no number. */
function check(result: AttentionResult, side: Side, length: number): AttentionResult {
  if (!Number.isFinite(result.value)) throw new Error(`${side.name}: expected a finite loss, got ${result.value}`);
  if (result.runMs.length === 0) throw new Error(`${side.name}: expected at least one timed pass, got none`);
  console.error(
    `  ${length} ${side.name}: ${median(result.runMs).toFixed(1)} ms, ${(result.peakBytes / 1e6).toFixed(0)} MB`,
  );
  return result;
}

function rowsOf(
  { name, entry, causal }: AttentionMember,
  length: number,
  ours: readonly AttentionResult[],
  peer: readonly AttentionResult[],
): Row[] {
  const row = (
    metric: string,
    unit: string,
    read: (result: AttentionResult) => number | undefined,
    pick = median,
  ): Row => {
    const over = (results: readonly AttentionResult[]): number | null => {
      const values = results.map(read).filter((value) => value !== undefined);
      return values.length === 0 ? null : pick(values);
    };
    const peerName = peer.length === 0 ? null : "PyTorch eager";
    return { ...compareRow(name, metric, unit, "lower", over(ours), over(peer), peerName), length };
  };
  // What full attention needs is plain. Sparse and low-rank mechanisms differ in their definitions: the pass forward, and twice that backward.
  const forward = ours[0]?.forwardGflop;
  const gflop =
    entry === "full"
      ? attentionGflop({ batch: 1, length, width: sizes.width, causal })
      : forward === undefined
        ? undefined
        : 3 * forward;
  return [
    row("forward and backward, fastest", "ms", ({ runMs }) => least(runMs), least),
    {
      ...row("forward and backward, median", "ms", ({ runMs }) => median(runMs)),
      ...(gflop !== undefined && { gflop }),
    },
    row("peak memory above runtime", "MB", ({ peakBytes }) => peakBytes / 1e6),
    row("peak memory of the passes", "MB", ({ runPeakBytes }) =>
      runPeakBytes === undefined ? undefined : runPeakBytes / 1e6,
    ),
    row("claimed exponent", "", ({ exponent }) => exponent),
  ];
}

function measurementsOf(rows: readonly Row[]): AttentionMeasurement[] {
  const found = new Map<string, AttentionMeasurement>();
  const causal = new Set(attentionMembers.filter(({ causal }) => causal).map(({ name }) => name));
  for (const { name, length = 0, metric, ours, peer } of rows) {
    const key = `${name} ${length}`;
    const baseline = causal.has(name) ? "full causal" : "full";
    const known = found.get(key) ?? { name, length, baseline };
    const parts: Record<string, Partial<AttentionMeasurement>> = {
      "forward and backward, median": { timeMs: ours, peerTimeMs: peer },
      "peak memory above runtime": { memoryMb: ours, peerMemoryMb: peer },
      "claimed exponent": { exponent: ours },
    };
    found.set(key, { ...known, ...parts[metric] });
  }
  return [...found.values()];
}
