/**
 * A learning rate as a function of the update's number. Updates are numbered from 1; every schedule is also defined at 0.
 *
 * Schedules are evaluated outside the training graph and passed in as a number, so changing one needs no recompilation.
 */
export type Schedule = (step: number) => number;

/** The same rate at every step: `η(s) = rate`. */
export function constantRate(rate: number): Schedule {
  requireRate("constant", "rate", rate);
  return () => rate;
}

/**
 * Linear warm-up to a peak, then half a cosine down to a floor, where the rate stays.
 *
 * `η(s) = peak · s / warmupSteps` for `s < warmupSteps`, afterwards
 * `η(s) = floor + ½ (peak − floor) (1 + cos(π · (s − warmupSteps) / (totalSteps − warmupSteps)))`, and `floor` for `s ≥ totalSteps`.
 *
 * @param options.floor Default: 0
 * @throws RangeError when `warmupSteps` is not in 0 … `totalSteps`, or `floor` is not in 0 … `peak`
 * @source Loshchilov & Hutter 2017, "SGDR", eq. 5, arXiv:1608.03983, without restarts
 */
export function warmupCosine(options: {
  peak: number;
  warmupSteps: number;
  totalSteps: number;
  floor?: number;
}): Schedule {
  const { peak, warmupSteps, totalSteps, floor = 0 } = options;
  requireRate("warmupCosine", "peak", peak);
  requireRate("warmupCosine", "floor", floor);
  if (floor > peak) throw new RangeError(`warmupCosine: floor ${floor} lies above peak ${peak}`);
  if (!(warmupSteps >= 0 && warmupSteps <= totalSteps)) {
    throw new RangeError(
      `warmupCosine: warmupSteps must lie between 0 and totalSteps, got ${warmupSteps} of ${totalSteps}`,
    );
  }
  return (step) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    if (step >= totalSteps) return floor;
    const done = (step - warmupSteps) / (totalSteps - warmupSteps);
    return floor + 0.5 * (peak - floor) * (1 + Math.cos(Math.PI * done));
  };
}

/**
 * Noam schedule: linear warm-up, then decay with the inverse square root of the step.
 *
 * `η(s) = scale · d^(−½) · min(s^(−½), s · warmupSteps^(−3/2))` with d the model width; the peak, at `s = warmupSteps`,
 * is `scale / √(d · warmupSteps)`.
 *
 * @param options.warmupSteps Default: 4000, as in the paper
 * @param options.scale Default: 1, as in the paper
 * @source Vaswani et al. 2017, "Attention Is All You Need", eq. 3, arXiv:1706.03762
 */
export function inverseSquareRoot(options: { modelWidth: number; warmupSteps?: number; scale?: number }): Schedule {
  const { modelWidth, warmupSteps = 4000, scale = 1 } = options;
  requireRate("inverseSquareRoot", "scale", scale);
  if (!(modelWidth > 0)) throw new RangeError(`inverseSquareRoot: modelWidth must be positive, got ${modelWidth}`);
  if (!(warmupSteps > 0)) throw new RangeError(`inverseSquareRoot: warmupSteps must be positive, got ${warmupSteps}`);
  return (step) => scale * modelWidth ** -0.5 * Math.min(step ** -0.5, step * warmupSteps ** -1.5);
}

function requireRate(caller: string, name: string, rate: number): void {
  if (!(rate >= 0 && Number.isFinite(rate))) {
    throw new RangeError(`${caller}: ${name} must be a finite number ≥ 0, got ${rate}`);
  }
}
