import { type Bench, compareRow, median } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide, pytorchSide } from "./sides.ts";
import { parameterCount, smallGpt, type Workload } from "./workload.ts";

/** What a child of this bench prints. */
export type DecodeResult = {
  /** Milliseconds of each timed generation: token 0 is given, `tokens` more follow greedily, each one read back. */
  readonly runMs: readonly number[];
  readonly tokens: number;
  readonly parameters: number;
};

/** One row, 256 tokens, five generations. */
export const decodeWorkload: Workload = { ...smallGpt, batch: 1, steps: 5, warmup: 2 };

/** Greedy decoding of 256 tokens with a key/value cache, batch 1. */
export const decode: Bench = {
  name: "decode",
  about: "decoding of 256 tokens with a cache, batch 1, beside PyTorch",
  run: async ({ rounds }) => {
    const sides = [ourSide("decode", decodeWorkload), pytorchSide("decode.py", decodeWorkload)];
    const [ours, peer] = (await measureInTurn(sides, rounds, checkDecode)).map((results) => ({
      middle: results.length === 0 ? null : median(results.map((result) => speedOf(result, median))),
      best: results.length === 0 ? null : Math.max(...results.map((result) => speedOf(result, least))),
    }));
    const row = (metric: string, pick: "middle" | "best") =>
      compareRow("decode small", metric, "tokens/s", "higher", ours![pick], peer![pick], sides[1]!.name);
    return [row("speed, median", "middle"), row("speed, fastest", "best")];
  },
};

const least = (values: readonly number[]): number => Math.min(...values);

function speedOf({ tokens, runMs }: DecodeResult, pick: (values: readonly number[]) => number): number {
  return (tokens * 1000) / pick(runMs);
}

function checkDecode(result: unknown, side: Side): DecodeResult {
  const { runMs, tokens, parameters } = result as DecodeResult;
  const expected = parameterCount(decodeWorkload);
  if (parameters !== expected) {
    throw new Error(`${side.name}: expected a model of ${expected} parameters, got ${parameters}`);
  }
  if (tokens !== decodeWorkload.length) {
    throw new Error(`${side.name}: expected ${decodeWorkload.length} tokens a generation, got ${tokens}`);
  }
  if (runMs.length !== decodeWorkload.steps) {
    throw new Error(`${side.name}: expected ${decodeWorkload.steps} timed generations, got ${runMs.length}`);
  }
  return { runMs, tokens, parameters };
}
