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

/** Random features: maps vectors to features by the rows [M, D] of a random matrix. */
export type RandomFeatures = {
  /** Number of features that M rows give. */
  count(rows: number): number;
  /** Whether the features of a key depend on other keys, which rules out decoding step by step. */
  readonly whole?: true;
  map(projection: Tensor): FeatureMap;
};

/** Input of a stabiliser. */
export type Exponents = {
  /** x̃·ω [B, H, T, M] */
  readonly products: Tensor;
  /** ½|x̃|² [B, H, T, 1], which the kernel itself subtracts. */
  readonly halfNorms: Tensor;
  /** 0 for masked keys, [B, 1, T, 1]. */
  readonly mask?: Tensor | undefined;
  /** Stops the gradient of terms that cancel between numerator and denominator; the identity where they do not cancel. */
  readonly stop: (x: Tensor) => Tensor;
};

/** What is subtracted from the products x̃·ω: the half norms, and a term that keeps the exponentials from overflowing. */
export type Stabiliser = (exponents: Exponents) => Tensor;

/** The half norms alone: the kernel exactly as defined. */
export const unstabilised: Stabiliser = ({ halfNorms }) => halfNorms;

/** The largest product of each vector: for queries, where any factor per query, half norms included, cancels. */
export const largestOfEach: Stabiliser = ({ products, stop: settle }) => settle(rowMax(products));

/** The largest exponent over all vectors: for keys. It depends on later keys, which for ε = 0 affects rounding only. */
export const largestOfAll: Stabiliser = ({ products, halfNorms, mask, stop: settle }) =>
  add(halfNorms, settle(max(masked(sub(rowMax(products), halfNorms), mask), { axes: -2, keepDims: true })));

/**
 * The stabilisers of the authors' code: the largest product per query, and over all keys together, without half norms.
 *
 * @param through whether gradients flow through the stabilisers; with ε > 0 they must, to be exact
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
  /** ε, added to each feature before it is divided by √M. Default: 0. */
  readonly epsilon?: number;
  /** Stabiliser of queries. Default: {@link largestOfEach}. */
  readonly query?: Stabiliser;
  /** Stabiliser of keys. Default: {@link unstabilised}, since causal attention must not depend on later keys. */
  readonly key?: Stabiliser;
  /** Estimate exp(q·k) instead of exp(q·k/√D). */
  readonly unscaled?: true;
};

/**
 * Positive features of the softmax kernel: `φ(x) = M^−½ (exp(ω_m·x̃ − ½|x̃|² − stabiliser) + ε)`, `x̃ = x·D^−¼`, so that
 * `φ(q)·φ(k)` estimates `exp(q·k/√D)`.
 *
 * @shape  projection [M, D]: x [B, H, T, D] → [B, H, T, M]
 * @source Choromanski et al. 2021, "Rethinking Attention with Performers", Lemma 1, arXiv:2009.14794
 * @differs the authors' code adds ε = 1e-6 (or 1e-4) after subtracting a maximum over all keys, so that future keys
 *   change earlier outputs. Here ε is 0, where stabilisers cancel, and keys are not stabilised: their exponents stay
 *   below ½|ω|² ≈ ½D anyway. The authors' way: `{ epsilon: 1e-6, ...publishedStabilisers(true) }`
 */
export function positive(options: FavorOptions = {}): RandomFeatures {
  return exponentials(
    options,
    (rows) => rows,
    (products) => products,
  );
}

/**
 * {@link positive} features of each row and its negative: `(2M)^−½ e^{−½|x̃|²} [e^u, e^−u]`, `u = ω·x̃`. Lower variance with
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
  // With ε = 0 a stabiliser cancels, and its gradient is 0.
  const settle = epsilon === 0 ? stopGradient : (x: Tensor) => x;
  const features = (projection: Tensor, stabiliser: Stabiliser) => (x: Tensor, mask?: Tensor) => {
    const products = spread(projected(x, projection, unscaled));
    const lowered = stabiliser({ products, halfNorms: halfNorms(x, unscaled), mask, stop: settle });
    const share = products.shape.at(-1)! ** -0.5;
    // The factor M^−½ is applied to the subtracted term, which has only one column.
    const raised = exp(masked(sub(products, sub(lowered, Math.log(share))), mask));
    return epsilon === 0 ? raised : add(raised, epsilon * share);
  };
  return {
    count,
    ...(key !== unstabilised && { whole: true }),
    map: (projection) => ({ query: features(projection, query), key: features(projection, key) }),
  };
}

/**
 * Trigonometric features of the softmax kernel: `M^−½ e^{½|x̃|²} [cos u, sin u]`, `u = ω·x̃`.
 *
 * Products of these features can be negative, and vary most where the kernel is small: the normaliser may come near 0.
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
 * Features of a generalised kernel: `f(ω·x̃) + ε`. Default: f = ReLU, ε = 1e-3.
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

/** The products x̃·ω, [B, H, T, M]. */
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
