import { broadcastTo, constant, expandDims, fromNumbers, mul, reshape, sum, type Tensor } from "@tsformers/engine";
import type { DepthOutput } from "../kinds/depth.ts";
import { type Context, evaluation, type Layer } from "../kinds/layer.ts";
import { extentOf, type LanguageModel, type TokenBody, type TokensInput } from "../models/language-model.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import { dropout, within } from "../nn/dropout.ts";
import { linear } from "../nn/linear.ts";
import { present } from "../schema/present.ts";
import type { LabelledBatch } from "../tasks/task.ts";
import { type Headed, headed } from "./headed.ts";
import { type BatchTotals, besideLoss, type Objective, type Symbolic, type WeightedLoss } from "./objective.ts";
import { type Pooling, pooledHead, poolOf } from "./pooling.ts";
import { predictionTotals } from "./prediction-totals.ts";

/** 1 at some positions of every row, 0 elsewhere: float32 of a shape [B, T]. */
function marked(positions: readonly number[], shape: readonly number[]): Tensor {
  const length = shape[1]!;
  const row = Array.from({ length }, (_, t) => (positions.includes(t) ? 1 : 0));
  return broadcastTo(constant(fromNumbers(row, [1, length])), shape);
}

export type ClassificationOptions = {
  readonly classes: number;
  /** Default: the body's own; else the mean of a model that sees both sides, the last position of a causal one. */
  readonly pooling?: Pooling;
  /** From the pooled vector to logits, [B, C] → [B, classes]. Default: one linear layer. */
  readonly head?: Layer<unknown, [x: Tensor, context: Context]>;
  /** Positions of global tokens, the same in all rows, for a body that takes them from its input. Default: those the body was made with. */
  readonly globals?: readonly number[];
  /** Label smoothing in training. Default: 0. */
  readonly smoothing?: number;
  /** Of the pooled vector. Default: 0. */
  readonly dropoutRate?: number;
};

export type ClassificationParams<Params> = Headed<Params, "classHead">;

/**
 * A model that tells the class of a row: a body whose vectors are pooled to one, of which a head makes logits.
 *
 * @shape tokens [B, T] → logits [B, 1, classes]
 */
export function classifier<Params>(
  body: TokenBody<Params>,
  options: ClassificationOptions,
): LanguageModel<ClassificationParams<Params>> {
  const { classes, dropoutRate = 0 } = options;
  const pool = poolOf(body, 1, options.pooling);
  const head: NonNullable<ClassificationOptions["head"]> = options.head ?? linear(body.width, classes);
  const withGlobals = (input: TokensInput): TokensInput => ({
    ...input,
    ...present({ globals: options.globals && marked(options.globals, extentOf(input)) }),
  });
  return headed(
    body,
    {
      name: "classHead",
      ...pooledHead(pool, {
        init: head.init,
        apply: (params, vectors, context) => {
          const pooled = dropout(reshape(vectors, [vectors.shape[0]!, body.width]), dropoutRate, context, "class");
          return expandDims(head.apply(params, pooled, within(context, "classHead")), 1);
        },
      }),
    },
    { input: withGlobals },
  );
}

/**
 * Trains any body of the family to tell the class of a row: its vectors are pooled to one, of which a head makes logits. The loss is the
 * weighted mean of −log p(class).
 *
 * RoBERTa and Longformer read the class of the first token, which is global, through a hidden layer: `{ pooling: firstPosition, globals: [0],
 * head: hiddenClassHead({ modelWidth, classes }) }`.
 *
 * @throws TypeError in its loss for `globals` when no layer of the body takes them
 */
export function classification<Params>(
  body: TokenBody<Params>,
  options: ClassificationOptions,
): Objective<ClassificationParams<Params>, LabelledBatch> {
  const { init, apply, project } = classifier(body, options);
  return {
    init,
    ...present({ project }),
    ...classScores(
      (params: ClassificationParams<Params>, { inputs, mask }: Symbolic<LabelledBatch>, context) =>
        apply(params, { tokens: inputs, mask }, context),
      options,
    ),
  };
}

/**
 * The loss of classes, and how many are right.
 *
 * @param run a forward pass, with logits [B, 1, classes]
 */
export function classScores<Params, Classed extends Pick<Symbolic<LabelledBatch>, "labels" | "weights">>(
  run: (params: Params, batch: Classed, context: Context) => DepthOutput & { readonly logits: Tensor },
  { smoothing = 0 }: { readonly smoothing?: number },
): {
  loss(params: Params, batch: Classed, context: Context): WeightedLoss;
  totals(params: Params, batch: Classed): { readonly totals: BatchTotals };
} {
  return {
    loss: (params, batch, context) => {
      const out = run(params, batch, context);
      const losses = crossEntropies(out.logits, expandDims(batch.labels, 1), { smoothing });
      const weights = expandDims(batch.weights, 1);
      return { total: sum(mul(losses, weights)), weight: sum(weights), ...besideLoss(out) };
    },
    totals: (params, batch) => {
      const { logits } = run(params, batch, evaluation);
      return { totals: predictionTotals(logits, expandDims(batch.labels, 1), expandDims(batch.weights, 1)) };
    },
  };
}
