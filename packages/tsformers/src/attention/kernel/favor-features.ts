import {
  add,
  concat,
  cos,
  equal,
  exp,
  matmul,
  max,
  mul,
  neg,
  relu,
  sin,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { FeatureMap } from "./feature-map.ts";

/** Makes features of the rows [M, D] that were drawn for it. */
export type RandomFeatures = {
  /** How many features M rows give. */
  count(rows: number): number;
  /** Whether the features of a key depend on other keys. */
  readonly whole?: true;
  map(projection: Tensor): FeatureMap;
};

/** What a stabiliser may look at. */
export type Exponents = {
  /** x̃·ω [B, H, T, M] */
  readonly products: Tensor;
  /** ½|x̃|² [B, H, T, 1], which the kernel itself takes off. */
  readonly halfNorms: Tensor;
  /** 0 for keys that do not count, [B, 1, T, 1]. */
  readonly mask?: Tensor | undefined;
  /** Stops the gradient of what divides out, and of nothing else. */
  readonly stop: (x: Tensor) => Tensor;
};

/** What products are lowered by: half norms, and something that keeps their exponentials from overflowing. */
export type Stabiliser = (exponents: Exponents) => Tensor;

/** Half norms alone: what is left is the kernel as it is written. */
export const unstabilised: Stabiliser = ({ halfNorms }) => halfNorms;

/** The largest product of each vector: for queries, whose half norms divide out as well. */
export const largestOfEach: Stabiliser = ({ products, stop: settle }) => settle(rowMax(products));

/** The largest exponent of all vectors: for keys. It looks ahead, which without ε is a matter of rounding. */
export const largestOfAll: Stabiliser = ({ products, halfNorms, mask, stop: settle }) =>
  add(halfNorms, settle(max(masked(sub(rowMax(products), halfNorms), mask), { axes: -2, keepDims: true })));

/**
 * The stabilisers of the authors' code: the largest product of each query, and of all keys together, half norms left aside.
 *
 * @param through whether gradients go through them; with ε they must, to be exact
 */
export function publishedStabilisers(through: boolean): { readonly query: Stabiliser; readonly key: Stabiliser } {
  const settle = through ? (x: Tensor) => x : stopGradient;
  return {
    query: ({ products, halfNorms }) => add(halfNorms, settle(rowMax(products))),
    key: ({ products, halfNorms, mask }) =>
      add(halfNorms, settle(max(masked(rowMax(products), mask), { axes: -2, keepDims: true }))),
  };
}

export type FavorOptions = {
  /** Added to each feature, before it is divided by √M. 0 unless told. */
  readonly epsilon?: number;
  /** {@link largestOfEach} unless told. */
  readonly query?: Stabiliser;
  /** {@link unstabilised} unless told: what is causal must not look ahead. */
  readonly key?: Stabiliser;
  /** Estimates exp(q·k) instead of exp(q·k/√D). */
  readonly unscaled?: true;
};

/**
 * Positive features of the softmax kernel: `φ(x) = M^−½ (exp(ω_m·x̃ − ½|x̃|² − stabiliser) + ε)`, `x̃ = x·D^−¼`, so that
 * `φ(q)·φ(k)` estimates `exp(q·k/√D)`.
 *
 * @shape  projection [M, D]: x [B, H, T, D] → [B, H, T, M]
 * @source Choromanski et al. 2021, "Rethinking Attention with Performers", Lemma 1, arXiv:2009.14794
 * @differs the authors' code adds ε = 1e-6 (or 1e-4) after lowering exponents by a maximum over all keys, so that future keys
 *   change earlier outputs. Here ε is 0, where stabilisers divide out, and keys are not stabilised: their exponents stay
 *   below ½|ω|² ≈ ½D by themselves. The authors' way: `{ epsilon: 1e-6, ...publishedStabilisers(true) }`
 */
export function positive(options: FavorOptions = {}): RandomFeatures {
  return exponentials(
    options,
    (rows) => rows,
    (products) => products,
  );
}

/**
 * {@link positive} features of each row and its opposite: `(2M)^−½ e^{−½|x̃|²} [e^u, e^−u]`, `u = ω·x̃`. Less variance for
 * the same rows.
 */
export function hyperbolic(options: FavorOptions = {}): RandomFeatures {
  return exponentials(
    options,
    (rows) => 2 * rows,
    (products) => concat([products, neg(products)], -1),
  );
}

function exponentials(
  { epsilon = 0, query = largestOfEach, key = unstabilised, unscaled }: FavorOptions,
  count: (rows: number) => number,
  spread: (products: Tensor) => Tensor,
): RandomFeatures {
  // Without ε a stabiliser divides out, and its gradient is 0.
  const settle = epsilon === 0 ? stopGradient : (x: Tensor) => x;
  const features = (projection: Tensor, stabiliser: Stabiliser) => (x: Tensor, mask?: Tensor) => {
    const products = spread(projected(x, projection, unscaled));
    const lowered = stabiliser({ products, halfNorms: halfNorms(x, unscaled), mask, stop: settle });
    const share = products.shape.at(-1)! ** -0.5;
    // The factor M^−½ goes into what is taken off, which has one column.
    const raised = exp(masked(sub(products, sub(lowered, Math.log(share))), mask));
    return epsilon === 0 ? raised : add(raised, epsilon * share);
  };
  return {
    count,
    ...(key === unstabilised ? {} : { whole: true }),
    map: (projection) => ({ query: features(projection, query), key: features(projection, key) }),
  };
}

/**
 * Trigonometric features of the softmax kernel: `M^−½ e^{½|x̃|²} [cos u, sin u]`, `u = ω·x̃`.
 *
 * Their products can be negative, and vary most where the kernel is small: sums of weights may come near 0.
 *
 * @source Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines"; Choromanski et al. 2021, §2.3
 */
export function trigonometric({ unscaled }: { readonly unscaled?: true } = {}): RandomFeatures {
  const features = (projection: Tensor) => (x: Tensor) => {
    const u = projected(x, projection, unscaled);
    const height = exp(sub(halfNorms(x, unscaled), Math.log(projection.shape[0]!) / 2));
    return mul(concat([cos(u), sin(u)], -1), height);
  };
  return {
    count: (rows) => 2 * rows,
    map: (projection) => ({ query: features(projection), key: features(projection) }),
  };
}

/**
 * Features of a kernel of one's own: `f(ω·x̃) + ε`, with f = ReLU and ε = 1e-3 unless told.
 *
 * @source Choromanski et al. 2021, §2.2 and appendix B.3 ("Performer-ReLU")
 */
export function generalised({
  of = relu,
  epsilon = 1e-3,
  unscaled,
}: {
  readonly of?: (x: Tensor) => Tensor;
  readonly epsilon?: number;
  readonly unscaled?: true;
} = {}): RandomFeatures {
  const features = (projection: Tensor) => (x: Tensor) => {
    const u = projected(x, projection, unscaled);
    return epsilon === 0 ? of(u) : add(of(u), epsilon);
  };
  return { count: (rows) => rows, map: (projection) => ({ query: features(projection), key: features(projection) }) };
}

/** ω·x̃, [B, H, T, M]. */
function projected(x: Tensor, projection: Tensor, unscaled: true | undefined): Tensor {
  return matmul(x, projection, { transposeB: true, scale: unscaled ? 1 : x.shape.at(-1)! ** -0.25 });
}

/** ½|x̃|², [B, H, T, 1]. */
function halfNorms(x: Tensor, unscaled: true | undefined): Tensor {
  return mul(sum(square(x), { axes: -1, keepDims: true }), unscaled ? 0.5 : 0.5 / Math.sqrt(x.shape.at(-1)!));
}

function rowMax(x: Tensor): Tensor {
  return max(x, { axes: -1, keepDims: true });
}

function masked(exponents: Tensor, mask: Tensor | undefined): Tensor {
  return mask === undefined ? exponents : where(equal(mask, 0), -1e30, exponents);
}
