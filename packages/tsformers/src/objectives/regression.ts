import {
  abs,
  cast,
  constant,
  equal,
  exp,
  floor,
  fromNumbers,
  gather,
  greater,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  uniform,
} from "@tsformers/engine";
import { type Context, evaluation, type Layer } from "../kinds/layer.ts";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { vectorFront, type WithFront } from "../models/vector-front.ts";
import { hiddenClassHead } from "../nn/class-head.ts";
import { relu } from "../nn/feed-forward.ts";
import type { Initial } from "../nn/initial.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { pictureNetwork } from "../nn/picture-network.ts";
import { present } from "../schema/present.ts";
import type { QuantitiesBatch, Quantity } from "../tasks/task.ts";
import { type Headed, headed } from "./headed.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { type Pooling, pooledHead, poolOf } from "./pooling.ts";

export type RegressionOptions = Quantity & {
  /** Default: the body's own; else the mean of a model that sees both sides, the last position of a causal one. */
  readonly pooling?: Pooling;
};

export type RegressionParams<Params> = Headed<WithFront<Params, unknown>, "numberHead">;

/**
 * A model that tells a number of a set of vectors: a front, linear or for pictures a small convolution network, a body whose vectors are pooled to one,
 * and a head with one hidden layer; where the body has a pooling of its own, a linear one. The embedding of tokens is not read.
 *
 * @shape vectors [B, T, F] → r [B, 1, 1] in place of logits: the number in its unit, or the log of the rate of a Poisson distribution
 */
export function regressor<Params>(
  body: TokenBody<Params>,
  { features, side, pooling }: RegressionOptions,
): LanguageModel<RegressionParams<Params>> {
  const pool = poolOf(body, 1, pooling);
  const head = pool.learned
    ? linear(body.width, 1)
    : hiddenClassHead({ modelWidth: body.width, classes: 1, activation: relu });
  const front =
    side === undefined ? numberFront(features, body.embeddingWidth) : pictureNetwork(side, body.embeddingWidth);
  const read = vectorFront<Params, unknown>("sets", body, features, front as Layer<unknown>);
  const model = headed(read, {
    name: "numberHead",
    ...pooledHead(pool, {
      init: head.init,
      apply: (params, vectors, context) => head.apply(params as never, vectors, context),
    }),
  });
  // For other heads it is the body that was given, which reads tokens, too.
  return { ...model, body: body as TokenBody<never> };
}

/** A linear map whose bias is drawn, too: with a bias of 0, a norm behind it would take away how large a single feature is. */
function numberFront(features: number, width: number): Layer<LinearParams> {
  const limit = features ** -0.5;
  const initial: Initial = (key, shape) => uniform(key, shape, { low: -limit, high: limit });
  return linear(features, width, { initial, biasInitial: initial });
}

/**
 * Trains any body of the family to tell a number of a set. With r what the model gives, the loss of a set is `|unit·r − y|`, or for a count k and the rate
 * λ = e^r, `−log p(k) = λ − k·r + log k!`; the most likely count, ⌊λ⌋, is what the model answers. The loss of a batch is the weighted mean over its sets.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.1 (the largest of a set of numbers) and §5.2 (how many different characters), arXiv:1810.00825
 */
export function regression<Params>(
  body: TokenBody<Params>,
  options: RegressionOptions,
): Objective<RegressionParams<Params>, QuantitiesBatch> {
  const { init, apply, project } = regressor(body, options);
  const { error } = options;
  const run = (params: RegressionParams<Params>, batch: Symbolic<QuantitiesBatch>, context: Context) => {
    const { inputs, mask, quantities } = batch;
    const out = apply(params, { vectors: inputs, mask }, context);
    const told = cast(reshape(out.logits, quantities.shape), "float32");
    return { ...out, told };
  };
  const losses = (told: Tensor, quantities: Tensor): Tensor =>
    error.kind === "absolute"
      ? abs(sub(mul(told, error.unit), quantities))
      : sub(exp(told), sub(mul(quantities, told), gather(logFactorials(error.most), cast(quantities, "int32"))));
  return {
    init,
    ...present({ project }),
    loss: (params, batch, context) => {
      const out = run(params, batch, context);
      const total = sum(mul(losses(out.told, batch.quantities), batch.weights));
      return { total, weight: sum(batch.weights), ...besideLoss(out) };
    },
    totals: (params, batch) => {
      const { told } = run(params, batch, evaluation);
      const { quantities, weights } = batch;
      const rows = sum(cast(greater(weights, 0), "float32"));
      const lossSum = sum(mul(losses(told, quantities), weights));
      if (error.kind === "absolute") return { totals: { lossSum, tokens: sum(weights), rows } };
      const isRight = cast(equal(floor(exp(told)), quantities), "float32");
      const correct = sum(mul(isRight, weights));
      return { totals: { lossSum, tokens: sum(weights), correct, rows, exactRows: correct } };
    },
  };
}

/** log 0!, log 1!, …, log n! */
function logFactorials(most: number): Tensor {
  const logs = [0];
  for (let k = 1; k <= most; k++) logs.push(logs[k - 1]! + Math.log(k));
  return constant(fromNumbers(logs, [logs.length]));
}
