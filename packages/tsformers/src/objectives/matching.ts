import { concat, expandDims, mul, relu, slice, splitKey, sub, type Tensor } from "@tsformers/engine";
import type { Context, Layer } from "../kinds/layer.ts";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { dropout, within } from "../nn/dropout.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { present } from "../schema/present.ts";
import type { MatchedBatch } from "../tasks/task.ts";
import { classScores } from "./classification.ts";
import { type Headed, headed } from "./headed.ts";
import type { Objective, Symbolic } from "./objective.ts";
import { lastPosition, meanOfPositions, type Pooling } from "./pooling.ts";

export type MatchingOptions = {
  readonly classes: number;
  /** Default: the mean of a model that sees both sides, the last position of a causal one. */
  readonly pooling?: Pooling;
  /** From the combined vector to logits, [B, 4·C] → [B, classes]. Default: {@link combinedHead}. */
  readonly head?: Layer<unknown, [x: Tensor, context: Context]>;
  /** Label smoothing in training. Default: 0. */
  readonly smoothing?: number;
  /** Of the pooled vectors. Default: 0. */
  readonly dropoutRate?: number;
};

export type MatchingParams<Params> = Headed<Params, "matchHead">;

/**
 * `relu(relu(x·W₁ + b₁)·W₂ + b₂)·W₃ + b₃` with hidden layers of C and ⌈C / 2⌉ features.
 *
 * @shape x [B, 4·C] → [B, classes]
 */
export function combinedHead(
  modelWidth: number,
  classes: number,
): Layer<{ first: LinearParams; second: LinearParams; out: LinearParams }, [x: Tensor, context: Context]> {
  const half = Math.ceil(modelWidth / 2);
  const [first, second, out] = [linear(4 * modelWidth, modelWidth), linear(modelWidth, half), linear(half, classes)];
  return {
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return { first: first.init(a!), second: second.init(b!), out: out.init(c!) };
    },
    apply: (params, x) => out.apply(params.out, relu(second.apply(params.second, relu(first.apply(params.first, x))))),
  };
}

/**
 * The encoder of rows that are compared: the pooled vector of each row. Its parameters include the head that compares.
 *
 * @shape tokens [B, T] → [B, 1, C], in place of logits
 */
export function matcher<Params>(
  body: TokenBody<Params>,
  options: MatchingOptions,
): LanguageModel<MatchingParams<Params>> {
  const { pooling, head } = partsOf(body, options);
  return headed(body, {
    name: "matchHead",
    init: head.init,
    logits: (_, { x }, { mask }) => expandDims(pooling(x, mask), 1),
  });
}

/**
 * Trains any body of the family to tell the class of two rows, each of which it reads without the other: the pooled vectors e₁ and e₂ are combined
 * as `[e₁, e₂, e₁ ∘ e₂, e₁ − e₂]`, of which a head makes logits. The loss is the weighted mean of −log p(class).
 *
 * @source Mou et al. 2016, "Natural Language Inference by Tree-Based Convolution and Heuristic Matching", §3.2, arXiv:1512.08422; as in the
 *   retrieval task of Tay et al. 2020, "Long Range Arena", §2.2.3, arXiv:2011.04006
 * @differs hidden layers of the head are as wide as the model and half of it, there as its feed-forward layers and half of those
 */
export function matching<Params>(
  body: TokenBody<Params>,
  options: MatchingOptions,
): Objective<MatchingParams<Params>, MatchedBatch> {
  const { pooling, head, dropoutRate = 0 } = partsOf(body, options);
  const { init, project } = matcher(body, options);
  const run = (params: MatchingParams<Params>, batch: Symbolic<MatchedBatch>, context: Context) => {
    // Both rows of all pairs in one pass, one above the other.
    const mask = concat([batch.mask, batch.othersMask], 0);
    const out = body.apply(params, { tokens: concat([batch.inputs, batch.others], 0), mask }, context);
    const pooled = dropout(pooling(out.x, mask), dropoutRate, context, "match");
    const pairs = batch.inputs.shape[0]!;
    const [a, b] = [slice(pooled, 0, 0, pairs), slice(pooled, 0, pairs)];
    const combined = concat([a, b, mul(a, b), sub(a, b)], 1);
    return { ...out, logits: expandDims(head.apply(params.matchHead, combined, within(context, "matchHead")), 1) };
  };
  return { init, ...present({ project }), ...classScores(run, options) };
}

function partsOf(
  { causal, width }: Pick<TokenBody, "causal" | "width">,
  options: MatchingOptions,
): MatchingOptions & Required<Pick<MatchingOptions, "pooling" | "head">> {
  const { pooling = causal ? lastPosition : meanOfPositions } = options;
  return { ...options, pooling, head: options.head ?? combinedHead(width, options.classes) };
}
