import { mul, sum, type Tensor } from "@tsformers/engine";
import { startSegments } from "../depth/states.ts";
import { evaluation } from "../kinds/layer.ts";
import type { LanguageModel, LanguageModelOutput, SpanParams } from "../models/language-model.ts";
import { chunkedCrossEntropies } from "../nn/chunked-cross-entropy.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { present } from "../schema/present.ts";
import type { Batch } from "../tasks/task.ts";
import { besideLoss, type Memories, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

export type TokenObjectiveOptions = {
  /** Label smoothing in training. Default: 0. */
  readonly smoothing?: number;
  /** Positions whose logits are in memory at a time in training; see {@link chunkedCrossEntropies}. Default: all. */
  readonly lossChunk?: number;
  /** Whether rows go on where those of the batch before ended, so that memories are kept. Default: false. */
  readonly segments?: boolean;
};

/**
 * Trains a model to predict a token at every position that has a weight: the next one of a causal model, hidden ones of a model that
 * sees both sides. The loss is the weighted mean of −log p(target).
 */
export function tokenObjective<Params>(
  model: LanguageModel<Params>,
  options: TokenObjectiveOptions = {},
): Objective<Params, Batch> {
  const { lossChunk, segments = false, ...rest } = options;
  const losses = ({ logits, x, toLogits }: LanguageModelOutput, targets: Tensor): Tensor => {
    if (lossChunk === undefined) return crossEntropies(logits, targets, rest);
    if (toLogits === undefined)
      throw new TypeError("lossChunk: this model does not say how logits come from its states");
    return chunkedCrossEntropies(x, toLogits, targets, { ...rest, chunkLength: lossChunk });
  };
  const inputOf = ({ inputs, mask, neighbours, fresh }: Symbolic<Batch>, memories: Memories | undefined) => ({
    tokens: inputs,
    ...present({ mask, neighbours }),
    ...(memories !== undefined && { segment: { layers: memories, ...present({ fresh }) } }),
  });
  return {
    init: model.init,
    ...(model.project !== undefined && { project: (params: Params) => model.project!(params) }),
    ...(model.spans !== undefined && {
      spans: (params: SpanParams) => model.spans!(params),
      trimmed: (spans: readonly (readonly number[])[]) => tokenObjective(model.trimmed!(spans), options),
    }),
    ...(segments &&
      startSegments(model.layers, 1) !== undefined && {
        startMemories: (batch: number) => startSegments(model.layers, batch)!,
      }),
    loss: (params, batch, context, memories) => {
      const out = model.apply(params, inputOf(batch, memories), context);
      const { targets, weights } = batch;
      const own = model.trainingLosses?.(params, out, { targets, weights }, context);
      const total = sum(mul(losses(out, targets), weights));
      return { total, weight: sum(weights), ...besideLoss({ ...out, losses: sumOfLosses([out.losses, own]) }) };
    },
    totals: (params, batch, memories) => {
      const { logits, state } = model.apply(params, inputOf(batch, memories), evaluation);
      return {
        totals: predictionTotals(logits, batch.targets, batch.weights),
        ...present({ memories: state.segment }),
      };
    },
  };
}
