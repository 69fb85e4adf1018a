import {
  add,
  and,
  cast,
  equal,
  expandDims,
  greater,
  iota,
  less,
  mul,
  or,
  randomUniform,
  sum,
  type Tensor,
  takeAlongAxis,
  topK,
} from "@tsformers/engine";
import { startSegments } from "../depth/states.ts";
import { evaluation } from "../kinds/layer.ts";
import type { Prediction, TwoStreamModel } from "../models/two-streams.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { within } from "../nn/dropout.ts";
import { present } from "../schema/present.ts";
import type { Batch } from "../tasks/task.ts";
import { besideLoss, type Memories, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

export type PermutationOptions = {
  /** Label smoothing in training. Default: 0. */
  readonly smoothing?: number;
  /**
   * P, the most tokens of a row that are predicted in training: the query stream has so many positions. Of rows with more hidden ones it is
   * the first in their order. Default: the query stream has all positions.
   */
  readonly places?: number;
  /** Whether rows go on where those of the batch before ended, so that memories are kept. Default: false. */
  readonly segments?: boolean;
};

/**
 * Permutation language modelling: the hidden tokens of a row are predicted one after another in an order drawn anew for each row and step, each
 * from all tokens that are not hidden and from the hidden ones before it: `−Σ_i log p(x_{z_i} | x_{z_<i}, x_given)`. No token is ever replaced
 * by a mask. The order is that of a permutation whose last tokens are predicted.
 *
 * Evaluation goes from left to right. By the chain rule, that loss is the log-likelihood of all hidden tokens together, a sum of conditionals
 * that no model can reach which predicts them independently of each other.
 *
 * @source Yang et al. 2019, "XLNet", §2.2 and §2.3 (partial prediction), arXiv:1906.08237
 * @differs hidden are single tokens, as the task's masked view chooses them, not spans of 1 to 5
 */
export function permutationObjective<Params>(
  model: TwoStreamModel<Params>,
  { places, segments = false, ...rest }: PermutationOptions = {},
): Objective<Params, Batch> {
  const inputOf = ({ targets: tokens, mask, fresh }: Symbolic<Batch>, memories: Memories | undefined) => ({
    tokens,
    ...present({ mask }),
    ...(memories !== undefined && { segment: { layers: memories, ...present({ fresh }) } }),
  });
  const start = segments ? startSegments(model.layers, 1) : undefined;
  return {
    init: model.init,
    ...(start !== undefined && { startMemories: (batch: number) => startSegments(model.layers, batch)! }),
    loss: (params, batch, context, memories) => {
      const { targets, weights } = batch;
      const { key } = within(context, "order");
      const order = key === undefined ? leftToRight(targets) : add(randomUniform(key, targets.shape), 1);
      const asked =
        places === undefined ? {} : { places: firstPlaces(weights, order, Math.min(places, targets.shape[1]!)) };
      const at = (x: Tensor): Tensor => (asked.places === undefined ? x : takeAlongAxis(x, asked.places, 1));
      const input = { ...inputOf(batch, memories), ...predictionOf(weights, order), ...asked };
      const out = model.predict(params, input, context);
      const counted = at(weights);
      const losses = crossEntropies(out.predicted, at(targets), rest);
      return { total: sum(mul(losses, counted)), weight: sum(counted), ...besideLoss(out) };
    },
    totals: (params, batch, memories) => {
      const { targets, weights } = batch;
      const input = { ...inputOf(batch, memories), ...predictionOf(weights, leftToRight(targets)) };
      const { predicted, state } = model.predict(params, input, evaluation);
      return { totals: predictionTotals(predicted, targets, weights), ...present({ memories: state.segment }) };
    },
  };
}

/**
 * What each token is predicted from: those without weight, which are given, and the predicted ones that come earlier in the order.
 *
 * @param weights above 0 where a token is predicted, [B, T]
 * @param order ascending numbers in the order of prediction, [B, T]
 */
export function predictionOf(weights: Tensor, order: Tensor): Prediction {
  const predicted = greater(weights, 0);
  const earlier = less(expandDims(order, 1), expandDims(order, 2));
  const seesHidden = and(earlier, expandDims(predicted, 2));
  return { sees: or(equal(expandDims(weights, 1), 0), seesHidden) };
}

function leftToRight(tokens: Tensor): Tensor {
  return add(cast(iota(tokens.shape[1]!), "float32"), mul(cast(tokens, "float32"), 0));
}

/** The positions of the first `count` predicted tokens in an order of numbers from 1 to 2, int32 [B, count]. */
function firstPlaces(weights: Tensor, order: Tensor, count: number): Tensor {
  return topK(mul(cast(greater(weights, 0), "float32"), add(mul(order, -1), 3)), count).indices;
}
