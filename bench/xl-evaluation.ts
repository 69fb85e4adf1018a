import { type Bench, compareRow, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide } from "./sides.ts";

/** One model that evaluates a text with the same attention length in two ways. */
export type XlEvaluationJob = {
  /** Positions that each query attends to, itself among them. */
  readonly attention: number;
  /** Tokens of a segment. */
  readonly segment: number;
  readonly vocabulary: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly threads: number;
  /** How many segments and windows are measured. */
  readonly segments: number;
  readonly windows: number;
};

/** What the child prints: milliseconds of each segment and of each window. */
export type XlEvaluationResult = {
  readonly segmentMs: readonly number[];
  readonly windowMs: readonly number[];
};

const sizes = { segment: 128, vocabulary: 256, layers: 4, width: 128, heads: 4, threads: 2, segments: 5, windows: 3 };

/** Of the paper's table 9. */
const lengths: readonly number[] = [800, 1600, 3800];

/**
 * What a token costs when a text is evaluated at one attention length: in segments with the memory of those before, and with the same model
 * without memory, whose window slides by one token and is computed anew each time.
 */
export const xlEvaluation: Bench = {
  name: "xl-evaluation",
  about:
    "a token of Transformer-XL's evaluation by reuse beside a window that slides by one, at attention lengths up to 3,800",
  run: async ({ rounds, lengths: given = lengths }) => {
    const sides = given.map((attention) => ourSide<XlEvaluationJob>("xl-evaluation", { ...sizes, attention }));
    const results = await measureInTurn(sides, rounds, check);
    const rows = given.map((attention, i): Row => {
      const found = results[i] ?? [];
      const middle = (read: (result: XlEvaluationResult) => readonly number[]) =>
        found.length === 0 ? null : median(found.map((result) => median([...read(result)])));
      const segmentMs = middle((result) => result.segmentMs);
      const ours = segmentMs === null ? null : segmentMs / sizes.segment;
      const windowMs = middle((result) => result.windowMs);
      const row = compareRow(
        "transformer-xl",
        `attention ${attention}`,
        "ms/token",
        "lower",
        ours,
        windowMs,
        "sliding window",
      );
      return { ...row, length: attention };
    });
    const [first, last] = [rows[0]?.ratio, rows.at(-1)?.ratio];
    if (rows.length < 2 || first == null || last == null) return rows;
    const metric = `speed-up at ${given.at(-1)} over that at ${given[0]}`;
    const growth = {
      name: "transformer-xl",
      metric,
      unit: "×",
      ours: last / first,
      peer: null,
      peerName: null,
      ratio: null,
    };
    return [...rows, growth];
  },
};

function check(result: unknown, side: Side): XlEvaluationResult {
  const { segmentMs, windowMs } = result as XlEvaluationResult;
  if (segmentMs?.length > 0 && windowMs?.length > 0 && [...segmentMs, ...windowMs].every((ms) => ms > 0))
    return { segmentMs, windowMs };
  throw new Error(`${side.name}: expected times, got ${JSON.stringify(result)}`);
}
