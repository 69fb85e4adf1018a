import {
  type Compiled,
  type Concrete,
  compile,
  type Device,
  flatten,
  type Given,
  isNdArray,
  type NDArray,
  type OnDevice,
  readTree,
} from "@tsformers/engine";
import type { BatchTotals, Memories, Objective, Symbolic } from "../objectives/objective.ts";
import type { EvalTotals } from "../tasks/metric.ts";

/** Scores parameters on batches; the graph is compiled once per shape of a batch. */
export type Evaluator<Params, B> = {
  /** Sums over all batches, in float64. Memories start empty and are passed from batch to batch. */
  evaluate(params: Given<Params>, batches: Iterable<B>): Promise<EvalTotals>;
  release(): Promise<void>;
};

export function evaluator<Params, B>(objective: Objective<Params, B>, device: Device): Evaluator<Params, B> {
  type Scored = { totals: BatchTotals; memories: Memories };
  const score = (params: Params, batch: Symbolic<B>, memories: Memories): Scored => {
    const remembers = objective.startMemories !== undefined;
    const out = objective.totals(params, batch, remembers ? memories : undefined);
    return { totals: out.totals, memories: out.memories ?? [] };
  };
  const scores = compile(score, { device, donate: [2] }) as unknown as Compiled<[Params, B, Memories], Scored>;
  return {
    evaluate: async (params, batches) => {
      const sums: { -readonly [Name in keyof EvalTotals]: EvalTotals[Name] } = { lossSum: 0, tokens: 0, rows: 0 };
      let memories: unknown;
      for (const batch of batches) {
        memories ??= objective.startMemories?.(rowsOf(batch)) ?? [];
        const results: OnDevice<Scored> = await scores(params, batch as Given<B>, memories as Given<Memories>);
        const read = (await readTree(results.totals)) as Concrete<BatchTotals>;
        for (const [name, value] of Object.entries(read) as [keyof EvalTotals, NDArray][])
          sums[name] = (sums[name] ?? 0) + value.item();
        memories = results.memories;
      }
      return sums;
    },
    release: () => scores.release(),
  };
}

function rowsOf(batch: unknown): number {
  return flatten(batch, isNdArray).leaves[0]!.shape[0]!;
}
