import { cast, greater, mean, mul, square, sub, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { DecisionModel } from "../models/decision-transformer.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import type { WindowBatch } from "../rl/off-line/windows.ts";
import { present } from "../schema/present.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

/**
 * Trains a model to do what was done: at each step that is no padding −log p(choice), or the squared error of a real action, averaged over its numbers. What it
 * tells of states and returns counts for nothing.
 *
 * @source Chen et al. 2021, "Decision Transformer", §3, arXiv:2106.01345
 */
export function deciding<Params>(model: DecisionModel<Params>): Objective<Params, WindowBatch> {
  const isDiscrete = model.actions.kind === "discrete";
  const run = (params: Params, batch: Symbolic<WindowBatch>, context: Context) => {
    const out = model.apply(params, batch, context);
    const losses = isDiscrete
      ? crossEntropies(out.actions, batch.actions)
      : mean(square(sub(out.actions, batch.actions)), { axes: -1 });
    return { out, losses }; // [B, T]
  };
  return {
    init: model.init,
    ...present({ project: model.project }),
    loss: (params, batch, context) => {
      const { out, losses } = run(params, batch, context);
      return { total: sum(mul(losses, batch.mask)), weight: sum(batch.mask), ...besideLoss(out) };
    },
    totals: (params, batch) => {
      const { out, losses } = run(params, batch, evaluation);
      if (isDiscrete) return { totals: predictionTotals(out.actions, batch.actions, batch.mask) };
      const rows = sum(cast(greater(sum(batch.mask, { axes: -1 }), 0), "float32"));
      return { totals: { lossSum: sum(mul(losses, batch.mask)), tokens: sum(batch.mask), rows } };
    },
  };
}
