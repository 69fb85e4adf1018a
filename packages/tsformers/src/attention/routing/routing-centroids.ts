import {
  add,
  argmax,
  type Concrete,
  cast,
  constant,
  convert,
  div,
  equal,
  expandDims,
  full,
  gather,
  interpret,
  iota,
  kept,
  layerNormalization,
  matmul,
  mul,
  normal,
  ones,
  type RandomKey,
  reshape,
  sqrt,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  traceBody,
  where,
  zeros,
} from "@tsformers/engine";

/** Training state: running counts and sums of the vectors nearest to each of k centroids, by head. */
export type Centroids = {
  /** [H, k] */
  counts: Tensor;
  /** [H, k, D] */
  sums: Tensor;
};

/** How queries, keys and centroids are normalised before they are compared. */
export type Measure = {
  query(q: Tensor): Tensor;
  key(k: Tensor): Tensor;
  /** A projected query or key in the form that centroids are means of. */
  point(x: Tensor): Tensor;
  /** A mean of such points, normalised for the comparison with points. */
  centroid(mean: Tensor): Tensor;
  /** Factor of the logits for heads of width D. */
  scale(width: number): number;
};

/** `(x − mean) / √(variance + 10⁻⁶)` over each vector, without gain and bias: every result has length √D. */
export function unitVariance(x: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  return layerNormalization(x, ones([width], x.dtype), zeros([width], x.dtype), 1e-6);
}

/** `x / ‖x‖` */
export function unitLength(x: Tensor): Tensor {
  return div(x, sqrt(add(sum(square(x), { axes: -1, keepDims: true }), 1e-24)));
}

const same = (x: Tensor): Tensor => x;

/**
 * Queries, keys and points are layer-normalised without gain and bias; no factor 1/√D.
 * @source Roy et al. 2021, §4.1; the factor as in the authors' code
 */
export const layerNormalised: Measure = {
  query: unitVariance,
  key: unitVariance,
  point: unitVariance,
  centroid: same,
  scale: () => 1,
};

/** Queries unchanged, keys of length 1, points and centroids compared by the angle between them; factor 1/√D. */
export const cosine: Measure = {
  query: same,
  key: unitLength,
  point: unitLength,
  centroid: unitLength,
  scale: (width) => 1 / Math.sqrt(width),
};

/** Centroids from a standard normal distribution, each with a count of 1. */
export function startCentroids(key: RandomKey, heads: number, count: number, width: number): Concrete<Centroids> {
  const drawn = normal(key, [heads, count, width]);
  const { program } = traceBody([], () => unitVariance(constant(drawn)));
  return { counts: full([heads, count], 1), sums: convert(interpret(program, [])[0]!, "float32") };
}

/** Laplace smoothing, which avoids division by zero for empty centroids. */
const smoothing = 1e-5;

/** Centroids `μ = sums / c`, `c = (counts + ε) / (N + kε) · N`, `N = Σ counts`, without gradient: [H, k, D]. */
export function meansOf({ counts, sums }: Centroids): Tensor {
  const all = sum(counts, { axes: -1, keepDims: true });
  const share = div(add(counts, smoothing), add(all, counts.shape[1]! * smoothing));
  return stopGradient(div(sums, expandDims(mul(share, all), -1)));
}

/** Scores `x·μ`: points [B, H, T, D], centroids [H, k, D] → [B, H, k, T], without gradient. */
export function nearness(points: Tensor, centroids: Tensor): Tensor {
  return stopGradient(matmul(centroids, cast(points, "float32"), { transposeB: true }));
}

/**
 * What the mean of all points so far scores with each centroid, `m·μ`, `m = Σ sums / Σ counts`: [H, k, 1]. Points that have much in common
 * all score highest with one centroid; less this, scores tell what each has of its own, since `(x − m)·(μ − m)` differs from `x·μ − m·μ` by
 * the same number for all centroids.
 *
 * @param centroids as they are compared, [H, k, D]
 */
export function scoresOfMean({ counts, sums }: Centroids, centroids: Tensor): Tensor {
  const all = expandDims(sum(counts, { axes: -1, keepDims: true }), -1);
  const mean = div(sum(sums, { axes: -2, keepDims: true }), all);
  return stopGradient(matmul(centroids, mean, { transposeB: true }));
}

/** The centroid nearest to each position: scores [B, H, k, T] → int32 [B, H, T]. */
export function nearestCentroids(scores: Tensor): Tensor {
  return kept(argmax(scores, -2));
}

/** Points, the nearest centroid of each, and which points are real ([B, T], 1 or 0). */
export type Assigned = { readonly points: Tensor; readonly nearest: Tensor; readonly keyMask?: Tensor };

/**
 * `β · mean ‖x − SG(μ)‖²`, `μ` the nearest centroid and SG the stopped gradient: pulls points to their centroids, not the reverse.
 *
 * @param means [H, k, D]
 * @shape points [B, H, T, D], nearest [B, H, T] → scalar
 * @source Roy et al. 2021; the mean is that over all elements, as in the authors' code
 */
export function commitmentLoss(means: Tensor, { points, nearest, keyMask }: Assigned, weight: number): Tensor {
  const [batch, heads, length, width] = points.shape as [number, number, number, number];
  const rows = add(nearest, reshape(mul(iota(heads), means.shape[1]!), [heads, 1]));
  const targets = stopGradient(gather(reshape(means, [-1, width]), rows));
  const squares = sum(square(sub(cast(points, "float32"), targets)), { axes: -1 });
  if (keyMask === undefined) return mul(sum(squares), weight / (batch * heads * length * width));
  const real = cast(keyMask, "float32");
  const total = mul(sum(real), heads * width);
  return div(mul(sum(mul(squares, expandDims(real, 1))), weight), where(equal(total, 0), 1, total));
}

/**
 * Centroids after a pass: `counts ← decay·counts + (1 − decay)·Σ 1`, `sums ← decay·sums + (1 − decay)·Σ x` over the points
 * nearest to each, without padding. For several sets of points (queries and keys) their mean is used.
 *
 * @source Roy et al. 2021, Algorithm 1; van den Oord et al. 2017, "Neural Discrete Representation Learning", appendix A.1,
 *   arXiv:1711.00937
 */
export function nextCentroids(centroids: Centroids, sets: readonly Assigned[], decay: number): Centroids {
  const count = centroids.counts.shape[1]!;
  const added = sets.map(({ points, nearest, keyMask }): Centroids => {
    const own = cast(equal(expandDims(nearest, 2), iota([count, 1])), "float32");
    const real = keyMask === undefined ? own : mul(own, cast(reshape(keyMask, [own.shape[0]!, 1, 1, -1]), "float32"));
    return { counts: sum(real, { axes: [0, 3] }), sums: sum(matmul(real, cast(points, "float32")), { axes: 0 }) };
  });
  const blend = (old: Tensor, fresh: readonly Tensor[]): Tensor => {
    const total = fresh.reduce((a, b) => add(a, b));
    return stopGradient(add(mul(old, decay), mul(total, (1 - decay) / fresh.length)));
  };
  return {
    counts: blend(
      centroids.counts,
      added.map(({ counts }) => counts),
    ),
    sums: blend(
      centroids.sums,
      added.map(({ sums }) => sums),
    ),
  };
}
