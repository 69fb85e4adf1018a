/** A part of a {@link GaussianMixture}: a normal distribution whose features are independent of each other. */
export type GaussianComponent = {
  /** Natural logarithm of the share of points that come from it. */
  readonly logWeight: number;
  /** [D] */
  readonly mean: readonly number[];
  /** Standard deviations, [D]. */
  readonly deviation: readonly number[];
};

export type GaussianMixture = readonly GaussianComponent[];

const logTwoPi = Math.log(2 * Math.PI);

/** `log π_k + log N(x; μ_k, diag σ_k²)` of each component, for a point x [D]. */
export function jointLogDensities(mixture: GaussianMixture, point: readonly number[]): number[] {
  return mixture.map(({ logWeight, mean, deviation }) =>
    point.reduce((sum, x, d) => {
      const z = (x - mean[d]!) / deviation[d]!;
      return sum - (z * z + logTwoPi) / 2 - Math.log(deviation[d]!);
    }, logWeight),
  );
}

/** `log Σ_k π_k N(x; μ_k, diag σ_k²)` of a point x [D], in nats. */
export function logDensity(mixture: GaussianMixture, point: readonly number[]): number {
  return logSum(jointLogDensities(mixture, point));
}

/** `log Σ exp(x)`, without overflow. */
export function logSum(values: readonly number[]): number {
  const peak = Math.max(...values);
  return peak + Math.log(values.reduce((sum, value) => sum + Math.exp(value - peak), 0));
}
