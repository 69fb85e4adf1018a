import { add, equal, fromNumbers, maximum, minimum, mul, type NDArray, type Tensor, where } from "@tsformers/engine";

/** Settings of dynamic loss scaling. */
export type LossScaleOptions = {
  /** The factor of the loss at the start, default 2^15. */
  readonly initial?: number;
  /** Updates without overflow after which the factor doubles, default 2000. */
  readonly growEvery?: number;
  /** The factor never falls below this, default 1. */
  readonly least?: number;
};

/** The factor (float32 []) and the updates since it last changed (int32 []). */
export type LossScaleState<Leaf = Tensor> = { readonly factor: Leaf; readonly good: Leaf };

/**
 * Dynamic loss scaling for float16: the loss is multiplied by a factor so that small gradients do not vanish. When
 * gradients overflow, the update is skipped and the factor halved; after `growEvery` good updates it doubles.
 *
 * @source Micikevicius et al. 2018, "Mixed Precision Training", §3.2, arXiv:1710.03740
 */
export type LossScale = {
  init(): LossScaleState<NDArray>;
  /** @param finite whether this update's gradients were, bool [] */
  update(state: LossScaleState, finite: Tensor): LossScaleState;
};

export function lossScale(options: LossScaleOptions = {}): LossScale {
  const { initial = 2 ** 15, growEvery = 2000, least = 1 } = options;
  if (!(initial >= least && least > 0)) {
    throw new RangeError(`lossScale: expected 0 < least ≤ initial, got least ${least}, initial ${initial}`);
  }
  if (!(Number.isInteger(growEvery) && growEvery >= 1)) {
    throw new RangeError(`lossScale: growEvery must be an integer ≥ 1, got ${growEvery}`);
  }
  return {
    init: () => ({ factor: fromNumbers([initial], []), good: fromNumbers([0], [], "int32") }),
    update: ({ factor, good }, finite) => {
      const counted = add(good, 1);
      const full = equal(counted, growEvery);
      const grown = where(full, minimum(mul(factor, 2), largest), factor);
      return {
        factor: where(finite, grown, maximum(mul(factor, 0.5), least)),
        good: where(finite, where(full, 0, counted), 0),
      };
    },
  };
}

/** A factor beyond this would overflow float32 together with a large loss. */
const largest = 2 ** 24;
