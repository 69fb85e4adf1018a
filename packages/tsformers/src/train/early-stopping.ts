/** State of early stopping between evaluations: plain data, stored in checkpoints. */
export type EarlyStoppingState = {
  /** The lowest loss so far and its step; `null` before the first evaluation. */
  readonly best: { readonly step: number; readonly loss: number } | null;
  /** Evaluations since the best one. */
  readonly waited: number;
  readonly stop: boolean;
};

export type EarlyStopping = {
  readonly init: EarlyStoppingState;
  /** The state after an evaluation. A NaN loss never counts as an improvement. */
  update(state: EarlyStoppingState, step: number, loss: number): EarlyStoppingState;
};

/**
 * Stops when `patience` evaluations in a row did not lower the best loss by more than `minimumGain`.
 *
 * @param options.patience how many evaluations without improvement end the run, ≥ 1
 * @param options.minimumGain by how much a loss must be below the best to count as an improvement. Default: 0
 */
export function earlyStopping(options: { patience: number; minimumGain?: number }): EarlyStopping {
  const { patience, minimumGain = 0 } = options;
  if (!(Number.isInteger(patience) && patience >= 1)) {
    throw new RangeError(`earlyStopping: patience must be an integer ≥ 1, got ${patience}`);
  }
  if (!(minimumGain >= 0)) throw new RangeError(`earlyStopping: minimumGain must be ≥ 0, got ${minimumGain}`);
  return {
    init: { best: null, waited: 0, stop: false },
    update({ best, waited }, step, loss) {
      const improved = loss < (best === null ? Number.POSITIVE_INFINITY : best.loss - minimumGain);
      if (improved) return { best: { step, loss }, waited: 0, stop: false };
      return { best, waited: waited + 1, stop: waited + 1 >= patience };
    },
  };
}
