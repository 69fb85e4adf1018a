/** What is guaranteed: with probability of at least 1 − ε over calibration sets, the mean loss is at most δ. */
export type RiskBound = {
  /** δ, within 0 and 1. */
  readonly risk: number;
  /** ε, within 0 and 1. */
  readonly error: number;
};

export type TestedThresholds = {
  /** The last threshold of those that passed, by its number in the list; −1 where the first failed already. */
  readonly selected: number;
  /** The mean loss at each threshold. */
  readonly risks: readonly number[];
  /** Hoeffding–Bentkus p-value of "the risk is above δ" at each threshold. */
  readonly pValues: readonly number[];
};

/**
 * Learn then Test: chooses the boldest of several thresholds at which the risk is provably small. They are tested one after the other, the
 * most careful first; the first that cannot be shown to be safe ends the tests, so that no correction for their number is needed.
 *
 * @param losses of each calibration example, within 0 and 1, at each threshold: [examples][thresholds]
 * @throws RangeError for losses beyond 0 … 1, rows of different lengths, and bounds that are no probabilities
 * @source Angelopoulos et al. 2021, "Learn then Test", arXiv:2110.01052; Schuster et al. 2022, §4, Algorithm 1
 */
export function learnThenTest(losses: readonly (readonly number[])[], { risk, error }: RiskBound): TestedThresholds {
  for (const [name, value] of Object.entries({ risk, error }))
    if (!(value > 0 && value < 1))
      throw new RangeError(`learnThenTest: expected ${name} between 0 and 1, got ${value}`);
  const thresholds = losses[0]?.length ?? 0;
  if (thresholds === 0) throw new RangeError("learnThenTest: expected at least one example and one threshold");
  losses.forEach((row, example) => {
    if (row.length !== thresholds)
      throw new RangeError(`learnThenTest: example ${example} has ${row.length} losses, the first has ${thresholds}`);
    const wrong = row.find((loss) => !(loss >= 0 && loss <= 1));
    if (wrong !== undefined)
      throw new RangeError(`learnThenTest: expected losses between 0 and 1, got ${wrong} in example ${example}`);
  });
  const sums = Array.from({ length: thresholds }, (_, i) => losses.reduce((sum, row) => sum + row[i]!, 0));
  const pValues = sums.map((sum) => hoeffdingBentkus(sum, losses.length, risk));
  const failed = pValues.findIndex((p) => p > error);
  return {
    selected: (failed < 0 ? thresholds : failed) - 1,
    risks: sums.map((sum) => sum / losses.length),
    pValues,
  };
}

/**
 * How likely so small a sum of `count` losses is where the risk is above δ, at most:
 * `min(1, exp(−n·h(min(R, δ), δ)), e·P(Bin(n, δ) ≤ ⌈n·R⌉))`, h being the divergence of two coins.
 *
 * @source Bates et al. 2021, "Distribution-Free, Risk-Controlling Prediction Sets", arXiv:2101.02703
 */
export function hoeffdingBentkus(sum: number, count: number, risk: number): number {
  const mean = Math.min(sum / count, risk);
  const hoeffding = Math.exp(-count * divergence(mean, risk));
  // Sums of losses of 0 and 1 are whole numbers, whatever rounding did to them.
  const most = Math.ceil(Number(sum.toFixed(9)));
  return Math.min(1, hoeffding, Math.E * binomialAtMost(most, count, risk));
}

/** Kullback–Leibler divergence of two coins: `a·ln(a/b) + (1 − a)·ln((1 − a)/(1 − b))`. */
function divergence(a: number, b: number): number {
  const part = (p: number, q: number): number => (p === 0 ? 0 : p * Math.log(p / q));
  return part(a, b) + part(1 - a, 1 - b);
}

/** P(Bin(n, p) ≤ k), summed from logarithms so that nothing underflows on the way. */
function binomialAtMost(k: number, n: number, p: number): number {
  if (k >= n) return 1;
  let log = n * Math.log1p(-p);
  let total = 0;
  for (let i = 0; i <= k; i++) {
    total += Math.exp(log);
    log += Math.log((n - i) / (i + 1)) + Math.log(p) - Math.log1p(-p);
  }
  return Math.min(total, 1);
}
