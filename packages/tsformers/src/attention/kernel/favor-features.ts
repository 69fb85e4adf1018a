import {
  add,
  concat,
  cos,
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
} from "@tsformers/engine";
import { alike, type FeatureMap, type Raised } from "./feature-map.ts";

/** Random features: maps vectors to features by the rows [M, D] of a random matrix. */
export type RandomFeatures = {
  /** Number of features that M rows give. */
  count(rows: number): number;
  /** Whether features have heights. */
  readonly raised?: true;
  map(projection: Tensor): FeatureMap;
};

export type FavorOptions = {
  /** Estimate exp(q·k) instead of exp(q·k/√D). */
  readonly unscaled?: true;
};

/**
 * Positive features of the softmax kernel: `φ(x) = M^−½ exp(ω_m·x̃ − ½|x̃|²)`, `x̃ = x·D^−¼`, so that `φ(q)·φ(k)` estimates
 * `exp(q·k/√D)`. The largest exponent is the height: none of the features overflows, and the largest is M^−½.
 *
 * @shape  projection [M, D]: x [B, H, T, D] → [B, H, T, M]
 * @source Choromanski et al. 2021, "Rethinking Attention with Performers", Lemma 1, arXiv:2009.14794
 * @differs the authors' code subtracts a maximum over all keys and then adds ε = 1e-6 (or 1e-4), so that future keys change
 *   earlier outputs. Here heights are exact: they cancel
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
  { unscaled }: FavorOptions,
  count: (rows: number) => number,
  spread: (products: Tensor) => Tensor,
): RandomFeatures {
  const features =
    (projection: Tensor) =>
    (x: Tensor): Raised => {
      const products = spread(projected(x, projection, unscaled));
      // It stands in features and height, so that its gradient cancels.
      const largest = stopGradient(max(products, { axes: -1, keepDims: true }));
      // The factor M^−½ is applied to the subtracted term, which has only one column.
      const lowered = add(largest, Math.log(products.shape.at(-1)!) / 2);
      return { features: exp(sub(products, lowered)), height: sub(largest, halfNorms(x, unscaled)) };
    };
  return { count, raised: true, map: (projection) => alike(features(projection)) };
}

/**
 * Trigonometric features of the softmax kernel: `M^−½ e^{½|x̃|²} [cos u, sin u]`, `u = ω·x̃`; the exponent is the height.
 *
 * Products of these features can be negative, and vary most where the kernel is small: the normaliser may come near 0.
 *
 * @source Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines"; Choromanski et al. 2021, §2.3
 */
export function trigonometric({ unscaled }: FavorOptions = {}): RandomFeatures {
  const features =
    (projection: Tensor) =>
    (x: Tensor): Raised => {
      const u = projected(x, projection, unscaled);
      return {
        features: mul(concat([cos(u), sin(u)], -1), projection.shape[0]! ** -0.5),
        height: halfNorms(x, unscaled),
      };
    };
  return { count: (rows) => 2 * rows, raised: true, map: (projection) => alike(features(projection)) };
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
}: FavorOptions & {
  readonly of?: (x: Tensor) => Tensor;
  readonly epsilon?: number;
} = {}): RandomFeatures {
  const features = (projection: Tensor) => (x: Tensor) => ({
    features: add(of(projected(x, projection, unscaled)), epsilon),
  });
  return { count: (rows) => rows, map: (projection) => alike(features(projection)) };
}

/** The products x̃·ω, [B, H, T, M]. */
export function projected(x: Tensor, projection: Tensor, unscaled: true | undefined): Tensor {
  return matmul(x, projection, { transposeB: true, scale: unscaled ? 1 : x.shape.at(-1)! ** -0.25 });
}

/** ½|x̃|², [B, H, T, 1]. */
export function halfNorms(x: Tensor, unscaled: true | undefined): Tensor {
  return mul(sum(square(x), { axes: -1, keepDims: true }), unscaled ? 0.5 : 0.5 / Math.sqrt(x.shape.at(-1)!));
}
