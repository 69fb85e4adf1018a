import {
  add,
  type Concrete,
  cast,
  concat,
  div,
  exp,
  expandDims,
  fromNumbers,
  gelu,
  log,
  logSoftmax,
  logSumExp,
  mul,
  normal,
  reshape,
  slice,
  splitKey,
  square,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type LinearParams, linear } from "./linear.ts";

/** K components in D dimensions. */
export type MixtureSizes = { readonly components: number; readonly features: number };

/** Mixtures of K Gaussians with independent features, one for each row: float32. */
export type GaussianMixtures = {
  /** log π, [B, K] */
  readonly logWeights: Tensor;
  /** μ, [B, K, D] */
  readonly means: Tensor;
  /** σ², [B, K, D] */
  readonly variances: Tensor;
};

/** σ² is at least that, so that a component that falls upon a single point has a finite density. */
export const leastVariance = 1e-4;

/**
 * A mixture from the numbers that a head gives: `log π = logSoftmax(r)`, `σ² = exp(s) + 10⁻⁴`, means as they are.
 *
 * @shape raw [B, K·(1 + 2·D)], of which r [B, K], then the means and s, [B, K, D] each
 */
export function mixturesOf(raw: Tensor, { components, features }: MixtureSizes): GaussianMixtures {
  const rows = raw.shape[0]!;
  const wide = cast(raw, "float32");
  const part = (from: number): Tensor =>
    reshape(slice(wide, 1, from, from + components * features), [rows, components, features]);
  return {
    logWeights: logSoftmax(slice(wide, 1, 0, components)),
    means: part(components),
    variances: add(exp(part(components + components * features)), leastVariance),
  };
}

/**
 * `log Σ_k π_k N(x; μ_k, diag σ_k²)` of every point, in nats, under the mixture of its row.
 *
 * @shape points [B, T, D] → float32 [B, T]
 */
export function mixtureLogDensities({ logWeights, means, variances }: GaussianMixtures, points: Tensor): Tensor {
  const features = points.shape[2]!;
  const away = square(sub(expandDims(cast(points, "float32"), 2), expandDims(means, 1))); // [B, T, K, D]
  const distances = sum(div(away, expandDims(variances, 1)), { axes: -1 });
  const constants = add(sum(log(variances), { axes: -1 }), features * Math.log(2 * Math.PI)); // [B, K]
  const own = sub(logWeights, mul(constants, 0.5));
  return logSumExp(sub(expandDims(own, 1), mul(distances, 0.5)), { axes: -1 });
}

export type MixtureHeadParams = { hidden: LinearParams; out: LinearParams };

/**
 * One vector to the numbers of a mixture: `gelu(x·W₁ + b₁)·W₂ + b₂`, with a hidden layer as wide as the model.
 *
 * The biases of the means are drawn from a standard normal distribution: components that began alike would have the same gradients and stay alike.
 *
 * @shape x [B, 1, C] → [B, 1, K·(1 + 2·D)], see {@link mixturesOf}
 */
export function mixtureHead(width: number, { components, features }: MixtureSizes): Layer<MixtureHeadParams> {
  const [hidden, out] = [linear(width, width), linear(width, components * (1 + 2 * features))];
  return {
    init: (key): Concrete<MixtureHeadParams> => {
      const [a, b, c] = splitKey(key, 3);
      const means = normal(c!, [components * features]).toNumbers();
      const bias = [...Array<number>(components).fill(0), ...means, ...Array<number>(means.length).fill(0)];
      return { hidden: hidden.init(a!), out: { ...out.init(b!), bias: fromNumbers(bias, [bias.length]) } };
    },
    apply: (params, x) => out.apply(params.out, gelu(hidden.apply(params.hidden, x))),
  };
}

/**
 * K vectors to the numbers of a mixture, each to those of one component: `x·W + b`.
 *
 * @shape x [B, K, C] → [B, 1, K·(1 + 2·D)], see {@link mixturesOf}
 */
export function componentHead(width: number, { components, features }: MixtureSizes): Layer<LinearParams> {
  const out = linear(width, 1 + 2 * features);
  return {
    init: out.init,
    apply: (params, x) => {
      const own = out.apply(params, x);
      const rows = x.shape[0]!;
      const part = (from: number, to: number): Tensor =>
        reshape(slice(own, 2, from, to), [rows, 1, components * (to - from)]);
      return concat([part(0, 1), part(1, 1 + features), part(1 + features, 1 + 2 * features)], 2);
    },
  };
}
