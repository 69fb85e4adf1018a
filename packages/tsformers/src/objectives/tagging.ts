import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { dropout } from "../nn/dropout.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { Batch } from "../tasks/task.ts";
import type { ClassificationParams } from "./classification.ts";
import { headed } from "./headed.ts";
import type { Objective } from "./objective.ts";
import { tokenObjective } from "./tokens.ts";

export type TaggingOptions = {
  readonly classes: number;
  /** Label smoothing in training. Default: 0. */
  readonly smoothing?: number;
  /** Of the vectors that the head reads. Default: 0. */
  readonly dropoutRate?: number;
};

/**
 * A model that tells a class at every position: a body, and one linear layer that all positions share.
 *
 * @shape tokens [B, T] → logits [B, T, classes]
 */
export function tagger<Params>(
  body: TokenBody<Params>,
  { classes, dropoutRate = 0 }: TaggingOptions,
): LanguageModel<ClassificationParams<Params>> {
  const head = linear(body.width, classes);
  return headed(body, {
    name: "classHead",
    init: head.init,
    logits: (params, { x }, _, context) =>
      head.apply(params as LinearParams, dropout(x, dropoutRate, context, "class")),
  });
}

/**
 * Trains any body of the family to tell a class at every position that has a weight: from both sides, or of a causal body from what is before
 * it. The loss is the weighted mean of −log p(class).
 */
export function tagging<Params>(
  body: TokenBody<Params>,
  { smoothing = 0, ...options }: TaggingOptions,
): Objective<ClassificationParams<Params>, Batch> {
  return tokenObjective(tagger(body, options), { smoothing });
}
