import {
  add,
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
  stopGradient,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { LanguageModel, LanguageModelOutput } from "../models/language-model.ts";
import { chunkedCrossEntropies } from "../nn/chunked-cross-entropy.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import type { EvalTotals } from "../tasks/metric.ts";
import type { Batch } from "../tasks/task.ts";

/** The counterpart of a batch inside the trace. */
export type Symbolic<B> = { readonly [K in keyof B]: B[K] extends NDArray ? Tensor : Symbolic<B[K]> };

/** A loss as a sum and the weight that it is divided by, so that parts of a batch add up. */
export type WeightedLoss = {
  /** float32 [] */
  readonly total: Tensor;
  /** float32 [] */
  readonly weight: Tensor;
  /** What `params.carried` becomes: state of the model that training updates without gradients. */
  readonly carried?: unknown;
};

/** What a loss is computed by. */
export type LossFunction<Params, B> = (params: Params, batch: Symbolic<B>, context: Context) => WeightedLoss;

/** {@link EvalTotals} of one batch, inside the trace. */
export type BatchTotals = { readonly [K in keyof EvalTotals]: Tensor };

/** A model together with what it is trained for. `init` runs outside the trace, the others inside it. */
export type Objective<Params = unknown, B = Batch> = {
  init(key: RandomKey): Concrete<Params>;
  readonly loss: LossFunction<Params, B>;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
  /** Without dropout and smoothing. */
  totals(params: Params, batch: Symbolic<B>): BatchTotals;
};

/**
 * A language model trained to predict the next token: its loss is the weighted mean of −log p(target).
 *
 * @param options.smoothing label smoothing in training, default 0
 * @param options.lossChunk positions whose logits are in memory at a time in training, all unless told; see {@link chunkedCrossEntropies}
 */
export function languageModelTrainee<Params>(
  model: LanguageModel<Params>,
  options: { readonly smoothing?: number; readonly lossChunk?: number } = {},
): Objective<Params> {
  const { lossChunk, ...rest } = options;
  const losses = ({ logits, hidden, toLogits }: LanguageModelOutput, targets: Tensor): Tensor => {
    if (lossChunk === undefined) return crossEntropies(logits, targets, rest);
    if (toLogits === undefined)
      throw new TypeError("lossChunk: this model does not say how logits come from its states");
    return chunkedCrossEntropies(hidden.at(-1)!, toLogits, targets, { ...rest, chunkLength: lossChunk });
  };
  return {
    init: model.init,
    ...(model.project === undefined ? {} : { project: (params: Params) => model.project!(params) }),
    loss: (params, { inputs, targets, weights }, context) => {
      const out = model.apply(params, { tokens: inputs }, context);
      const [total, weight] = [sum(mul(losses(out, targets), weights)), sum(weights)];
      // Divided by the weight in the end, what the mixers add counts once however large the batch.
      const all = out.loss === undefined ? total : add(total, mul(cast(out.loss, total.dtype), stopGradient(weight)));
      return { total: all, weight, ...(out.carried === undefined ? {} : { carried: out.carried }) };
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
