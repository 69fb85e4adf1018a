import {
  and,
  argmax,
  type Concrete,
  cast,
  equal,
  greater,
  mul,
  type NDArray,
  not,
  type RandomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import type { LanguageModel } from "../models/language-model.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { type Context, evaluation } from "../nn/layer.ts";
import type { EvalTotals } from "../tasks/metric.ts";
import type { Batch } from "../tasks/task.ts";

/** The counterpart of a batch inside the trace. */
export type Symbolic<B> = { readonly [K in keyof B]: B[K] extends NDArray ? Tensor : Symbolic<B[K]> };

/** A loss as a sum and the weight that it is divided by, so that parts of a batch add up. @shape both float32 [] */
export type WeightedLoss = { readonly total: Tensor; readonly weight: Tensor };

/** What a loss is computed by. */
export type LossFunction<Params, B> = (params: Params, batch: Symbolic<B>, context: Context) => WeightedLoss;

/** {@link EvalTotals} of one batch, inside the trace. */
export type BatchTotals = { readonly [K in keyof EvalTotals]: Tensor };

/** A model together with what it is trained for. `init` runs outside the trace, the others inside it. */
export type Trainee<Params = unknown, B = Batch> = {
  init(key: RandomKey): Concrete<Params>;
  readonly loss: LossFunction<Params, B>;
  /** Without dropout and smoothing. */
  totals(params: Params, batch: Symbolic<B>): BatchTotals;
};

/**
 * A language model trained to predict the next token: its loss is the weighted mean of −log p(target).
 *
 * @param options.smoothing label smoothing in training, default 0
 */
export function languageModelTrainee<Params>(
  model: LanguageModel<Params>,
  options: { readonly smoothing?: number } = {},
): Trainee<Params> {
  return {
    init: model.init,
    loss: (params, { inputs, targets, weights }, context) => {
      const { logits } = model.apply(params, { tokens: inputs }, context);
      return { total: sum(mul(crossEntropies(logits, targets, options), weights)), weight: sum(weights) };
    },
    totals: (params, { inputs, targets, weights }) => {
      const { logits } = model.apply(params, { tokens: inputs }, evaluation);
      return predictionTotals(logits, targets, weights);
    },
  };
}

/**
 * How well logits predict the targets whose weight is above 0.
 *
 * @shape logits [B, T, V], targets int32 [B, T], weights float32 [B, T]
 */
export function predictionTotals(logits: Tensor, targets: Tensor, weights: Tensor): BatchTotals {
  const scored = greater(weights, 0);
  const right = equal(cast(argmax(logits), "int32"), targets);
  const count = (mask: Tensor): Tensor => sum(cast(mask, "float32"));
  const scoredInRow = sum(cast(scored, "float32"), { axes: -1 });
  const wrongInRow = sum(cast(and(scored, not(right)), "float32"), { axes: -1 });
  return {
    lossSum: sum(mul(crossEntropies(logits, targets), weights)),
    tokens: sum(weights),
    correct: count(and(scored, right)),
    rows: count(greater(scoredInRow, 0)),
    exactRows: count(and(greater(scoredInRow, 0), equal(wrongInRow, 0))),
  };
}
