import { cast, div, greater, maximum, mul, neg, reshape, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { vectorFront, type WithFront } from "../models/vector-front.ts";
import {
  componentHead,
  type MixtureSizes,
  mixtureHead,
  mixtureLogDensities,
  mixturesOf,
} from "../nn/gaussian-mixture.ts";
import { present } from "../schema/present.ts";
import type { PointsBatch } from "../tasks/task.ts";
import { type Headed, headed } from "./headed.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { type Pooling, pooledHead, poolOf } from "./pooling.ts";

export type ClusteringOptions = MixtureSizes & {
  /** Default: the body's own; else the mean of a model that sees both sides, the last position of a causal one. */
  readonly pooling?: Pooling;
};

export type ClusteringParams<Params> = Headed<WithFront<Params>, "mixtureHead">;

/**
 * A model that tells the mixture which the points of a row come from: a linear front, a body whose vectors are pooled to one, and a head with one
 * hidden layer; where the body has a pooling of its own, to one for each component, which a linear head reads. The embedding of tokens is not read.
 *
 * @shape vectors [B, T, D] → [B, 1, K·(1 + 2·D)] in place of logits, see {@link mixturesOf}
 */
export function clusterer<Params>(
  body: TokenBody<Params>,
  { pooling, ...sizes }: ClusteringOptions,
): LanguageModel<ClusteringParams<Params>> {
  const pool = poolOf(body, sizes.components, pooling);
  const head = pool.learned ? componentHead(body.width, sizes) : mixtureHead(body.width, sizes);
  const model = headed(vectorFront("points", body, sizes.features), {
    name: "mixtureHead",
    ...pooledHead(pool, { init: head.init, apply: (params, vectors) => head.apply(params as never, vectors) }),
  });
  // For other heads it is the body that was given, which reads tokens, too.
  return { ...model, body: body as TokenBody<never> };
}

/**
 * Trains any body of the family to tell the mixture of Gaussians that the points of a row come from. The loss of a row is the mean over its points of
 * `−log Σ_k π_k N(x; μ_k, diag σ_k²)`, and that of a batch the weighted mean over its rows.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.3, arXiv:1810.00825
 * @differs bodies without a pooling of their own give all components from one vector; there each is read by a query of its own (pooling by attention)
 */
export function clustering<Params>(
  body: TokenBody<Params>,
  options: ClusteringOptions,
): Objective<ClusteringParams<Params>, PointsBatch> {
  const { init, apply, project } = clusterer(body, options);
  const run = (params: ClusteringParams<Params>, { inputs, mask }: Symbolic<PointsBatch>, context: Context) => {
    const out = apply(params, { vectors: inputs, mask }, context);
    const raw = reshape(out.logits, [inputs.shape[0]!, out.logits.shape[2]!]);
    const densities = mixtureLogDensities(mixturesOf(raw, options), inputs); // [B, T]
    const real = cast(mask, "float32");
    const rowLosses = neg(div(sum(mul(densities, real), { axes: 1 }), maximum(sum(real, { axes: 1 }), 1))); // [B]
    return { ...out, rowLosses };
  };
  return {
    init,
    ...present({ project }),
    loss: (params, batch, context) => {
      const out = run(params, batch, context);
      return { total: sum(mul(out.rowLosses, batch.weights)), weight: sum(batch.weights), ...besideLoss(out) };
    },
    totals: (params, batch) => {
      const { rowLosses } = run(params, batch, evaluation);
      const rows = sum(cast(greater(batch.weights, 0), "float32"));
      return { totals: { lossSum: sum(mul(rowLosses, batch.weights)), tokens: sum(batch.weights), rows } };
    },
  };
}
