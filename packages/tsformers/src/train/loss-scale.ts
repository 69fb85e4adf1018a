import { add, equal, fromNumbers, maximum, minimum, mul, type NDArray, type Tensor, where } from "@tsformers/engine";

/** Settings of dynamic loss scaling. */
export type LossScaleOptions = {
  /** The initial factor of the loss. Default: 2^15. */
  readonly initial?: number;
  /** Updates without overflow after which the factor doubles. Default: 2000. */
  readonly growEvery?: number;
  /** The smallest factor. Default: 1. */
  readonly least?: number;
};

/** The factor (float32 scalar) and the number of updates since it last changed (int32 scalar). */
export type LossScaleState<Leaf = Tensor> = { readonly factor: Leaf; readonly good: Leaf };

/**
 * Dynamic loss scaling for float16: the loss is multiplied by a factor so that small gradients do not underflow. When
 * gradients overflow, the update is skipped and the factor halved; after `growEvery` good updates it doubles.
 *
 * @source Micikevicius et al. 2018, "Mixed Precision Training", §3.2, arXiv:1710.03740
 */
export type LossScale = {
  init(): LossScaleState<NDArray>;
  /** @param finite whether all gradients of this update were finite, bool scalar */
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

/** A larger factor could overflow float32 together with a large loss. */
const largest = 2 ** 24;
