import { cast, greater, mean, mul, square, sub, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import {
  type DecisionModel,
  type DecisionOptions,
  type DecisionParams,
  decisionModel,
} from "../models/agents/decision-model.ts";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { trimmedPart } from "../models/trimmed-part.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { present } from "../schema/present.ts";
import type { WindowsBatch } from "../tasks/task.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

/**
 * Trains a model to do what was done: at each step that is no padding −log p(choice), or the squared error of a real action, averaged over its numbers. What it
 * tells of states and returns counts for nothing.
 *
 * @source Chen et al. 2021, "Decision Transformer", §3, arXiv:2106.01345
 */
export function deciding<Params>(
  model: DecisionModel<Params>,
  { smoothing = 0 }: { readonly smoothing?: number } = {},
): Objective<Params, WindowsBatch> {
  const isDiscrete = model.actions.kind === "discrete";
  if (smoothing !== 0 && !isDiscrete)
    throw new RangeError("labelSmoothing: real actions have no labels to smooth; leave it out");
  const run = (params: Params, batch: Symbolic<WindowsBatch>, context: Context, smoothing = 0) => {
    const out = model.apply(params, batch, context);
    const losses = isDiscrete
      ? crossEntropies(out.actions, batch.actions, { smoothing })
      : mean(square(sub(out.actions, batch.actions)), { axes: -1 });
    return { out, losses }; // [B, T]
  };
  return {
    init: model.init,
    ...present({ project: model.project }),
    loss: (params, batch, context) => {
      const { out, losses } = run(params, batch, context, smoothing);
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

/**
 * A body that acts, as what opens, counts and saves models sees it. It reads episodes: {@link decisionModel} has the pass itself.
 *
 * @throws TypeError from `apply`, since there are no tokens to read
 */
export function decider<Params>(
  body: TokenBody<Params>,
  options: DecisionOptions,
): LanguageModel<DecisionParams<Params>> {
  const { init, project } = decisionModel("act", body, options);
  const { project: _, trimmed: __, ...rest } = body;
  return {
    ...rest,
    body: body as TokenBody<never>,
    init,
    ...present({ project }),
    ...trimmedPart(body, (trimmed) => decider(trimmed, options)),
    apply: () => {
      throw new TypeError("a model that acts reads episodes (returns, states, actions, timesteps), not tokens");
    },
  };
}
