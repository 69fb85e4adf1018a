import { mul, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { present } from "../schema/present.ts";
import type { PairBatch } from "../tasks/task.ts";
import type { Objective, Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

/**
 * Trains an encoder-decoder to write the targets while it reads the source: its loss is the weighted mean of −log p(target).
 *
 * @param options.smoothing label smoothing in training. Default: 0
 */
export function sequenceToSequenceObjective<Params>(
  model: SequenceToSequence<Params>,
  options: { readonly smoothing?: number } = {},
): Objective<Params, PairBatch> {
  const run = (params: Params, { source, sourceWeights, inputs }: Symbolic<PairBatch>, context: Context) => {
    const encoded = model.encode(params, { tokens: source, mask: sourceWeights }, context);
    return { encoded, decoded: model.decode(params, { tokens: inputs, encoded }, context) };
  };
  return {
    init: model.init,
    ...(model.project !== undefined && { project: (params: Params) => model.project!(params) }),
    loss: (params, batch, context) => {
      const { encoded, decoded } = run(params, batch, context);
      const losses = crossEntropies(decoded.logits, batch.targets, options);
      const own = model.trainingLosses?.(params, decoded, { targets: batch.targets, weights: batch.weights }, context);
      const training = present({ encoder: encoded.state.training, decoder: decoded.state.training });
      return {
        total: sum(mul(losses, batch.weights)),
        weight: sum(batch.weights),
        losses: sumOfLosses([encoded.losses, decoded.losses, own]),
        ...(Object.keys(training).length !== 0 && { trainingState: training }),
      };
    },
    totals: (params, batch) => ({
      totals: predictionTotals(run(params, batch, evaluation).decoded.logits, batch.targets, batch.weights),
    }),
  };
}
