import { type Bench, compareRow, least, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide, pytorchSide } from "./sides.ts";
import { decodeGflop, parameterCount, smallGpt, type Workload } from "./workload.ts";

/** What a child of this bench prints. */
export type DecodeResult = {
  /** Milliseconds of each timed generation: token 0 is given, `tokens` more follow greedily in every row, each one read back. */
  readonly runMs: readonly number[];
  readonly tokens: number;
  readonly parameters: number;
};

/** One row, 256 tokens, five generations. */
export const decodeWorkload: Workload = { ...smallGpt, batch: 1, steps: 5, warmup: 2 };

/** The same with eight rows side by side. */
const eightRows: Workload = { ...decodeWorkload, batch: 8, steps: 3, warmup: 1 };

/** Greedy decoding of 256 tokens with a key/value cache, of one row and of eight side by side. */
export const decode: Bench = {
  name: "decode",
  about: "decoding of 256 tokens with a cache, one row and eight, beside PyTorch",
  run: async ({ rounds }) => [
    ...(await speeds("decode small", decodeWorkload, rounds)),
    ...(await speeds("decode small, 8 rows", eightRows, rounds)),
  ],
};

async function speeds(name: string, workload: Workload, rounds: number): Promise<Row[]> {
  const sides = [ourSide("decode", workload), pytorchSide("decode.py", workload)];
  const speedOf = ({ tokens, runMs }: DecodeResult, pick: (values: readonly number[]) => number): number =>
    (workload.batch * tokens * 1000) / pick(runMs);
  const all = await measureInTurn(sides, rounds, (result, side) => checkDecode(result, workload, side));
  const [ours, peer] = all.map((results) => ({
    middle: results.length === 0 ? null : median(results.map((result) => speedOf(result, median))),
    best: results.length === 0 ? null : Math.max(...results.map((result) => speedOf(result, least))),
  }));
  const row = (metric: string, pick: "middle" | "best") =>
    compareRow(name, metric, "tokens/s", "higher", ours![pick], peer![pick], sides[1]!.name);
  return [row("speed, median", "middle"), { ...row("speed, fastest", "best"), gflop: decodeGflop(workload) }];
}

function checkDecode(result: unknown, workload: Workload, side: Side): DecodeResult {
  const { runMs, tokens, parameters } = result as DecodeResult;
  const expected = parameterCount(workload);
  if (parameters !== expected) {
    throw new Error(`${side.name}: expected a model of ${expected} parameters, got ${parameters}`);
  }
  if (tokens !== workload.length) {
    throw new Error(`${side.name}: expected ${workload.length} tokens a generation, got ${tokens}`);
  }
  if (runMs.length !== workload.steps) {
    throw new Error(`${side.name}: expected ${workload.steps} timed generations, got ${runMs.length}`);
  }
  return { runMs, tokens, parameters };
}
