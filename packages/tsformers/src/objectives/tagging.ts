import { type Concrete, splitKey } from "@tsformers/engine";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { dropout } from "../nn/dropout.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { Batch } from "../tasks/task.ts";
import type { ClassificationParams } from "./classification.ts";
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
  const { project, ...rest } = body;
  return {
    ...rest,
    body: body as TokenBody<never>,
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { ...body.init(a!), classHead: head.init(b!) } as Concrete<ClassificationParams<Params>>;
    },
    ...(project !== undefined && {
      project: (params: ClassificationParams<Params>) => ({ ...params, ...project(params) }),
    }),
    apply: (params, input, context) => {
      const out = body.apply(params, input, context);
      const x = dropout(out.x, dropoutRate, context, "class");
      return { ...out, logits: head.apply(params.classHead as LinearParams, x) };
    },
  };
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
