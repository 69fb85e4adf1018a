import { mul, sum, type Tensor } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import type { PairBatch } from "../tasks/task.ts";
import { type Objective, predictionTotals, type Symbolic } from "../train/trainee.ts";

/**
 * An encoder-decoder trained to write the targets while it reads the source: its loss is the weighted mean of −log p(target).
 *
 * @param options.smoothing label smoothing in training, default 0
 */
export function sequenceToSequenceTrainee<Params>(
  model: SequenceToSequence<Params>,
  options: { readonly smoothing?: number } = {},
): Objective<Params, PairBatch> {
  const logitsOf = (
    params: Params,
    { source, sourceWeights, inputs }: Symbolic<PairBatch>,
    context: Context,
  ): Tensor => {
    const encoded = model.encode(params, { tokens: source, mask: sourceWeights }, context);
    return model.decode(params, { tokens: inputs, encoded }, context).logits;
  };
  return {
    init: model.init,
    loss: (params, batch, context) => {
      const losses = crossEntropies(logitsOf(params, batch, context), batch.targets, options);
      return { total: sum(mul(losses, batch.weights)), weight: sum(batch.weights) };
    },
    totals: (params, batch) => predictionTotals(logitsOf(params, batch, evaluation), batch.targets, batch.weights),
  };
}
