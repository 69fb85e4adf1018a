import {
  type Compiled,
  type Concrete,
  compile,
  type Device,
  type Given,
  type OnDevice,
  readTree,
} from "@tsformers/engine";
import type { EvalTotals } from "../tasks/metric.ts";
import type { BatchTotals, Objective, Symbolic } from "./trainee.ts";

/** Scores parameters on batches; the graph is made once for each shape of a batch. */
export type Evaluator<Params, B> = {
  /** Sums over all batches, in float64. */
  evaluate(params: Given<Params>, batches: Iterable<B>): Promise<EvalTotals>;
  release(): Promise<void>;
};

export function evaluator<Params, B>(trainee: Objective<Params, B>, device: Device): Evaluator<Params, B> {
  const totals = compile((params: Params, batch: Symbolic<B>): BatchTotals => trainee.totals(params, batch), {
    device,
  }) as unknown as Compiled<[Params, B], BatchTotals>;
  return {
    evaluate: async (params, batches) => {
      const sums = { lossSum: 0, tokens: 0, correct: 0, rows: 0, exactRows: 0 };
      for (const batch of batches) {
        const results: OnDevice<BatchTotals> = await totals(params, batch as Given<B>);
        const read = (await readTree(results)) as Concrete<BatchTotals>;
        for (const name of Object.keys(sums) as (keyof EvalTotals)[]) sums[name] += read[name].item();
      }
      return sums;
    },
    release: () => totals.release(),
  };
}
