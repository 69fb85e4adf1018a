import {
  equal,
  exp,
  lessEqual,
  max,
  maximum,
  pad,
  slice,
  stopGradient,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";

/** The height of the highest key where there is none yet. */
export const noHeight = -1e30;

export type RelativeHeights = {
  /** By which the features of each key are multiplied, at most 1, [B, H, S, 1]. */
  readonly factor: Tensor;
  /** Causal only: logarithm of the factor by which the sums before a position are multiplied, at most 0, [B, H, S, 1]. */
  readonly logDecay?: Tensor;
  /** Causal only: the highest key up to the last position, [B, H, 1, 1]. */
  readonly highest?: Tensor;
};

/**
 * Heights of keys, `φ(k_s) = e^{h_s} · features`, measured by the highest key that a query sees: `h*_t = max_{s≤t} h_s`, or of all
 * keys when not causal. What cancels between numerator and denominator, `exp(h*_t)`, is left out.
 *
 * @param mask 0 for padding, [B, 1, S, 1]
 * @param before the highest key before the first position, [B, H, 1, 1]. Default: there is none
 * @shape  height [B, H, S, 1]
 * @cost   O(B·H·S·log S) time
 */
export function relativeHeights(
  height: Tensor,
  { causal, mask, before }: { readonly causal: boolean; readonly mask?: Tensor; readonly before?: Tensor },
): RelativeHeights {
  const real = mask === undefined ? height : where(equal(mask, 0), noHeight, height);
  const fixed = stopGradient(real);
  if (!causal) return { factor: exp(sub(real, max(fixed, { axes: -2, keepDims: true }))) };
  const highest = runningMax(before === undefined ? fixed : maximum(fixed, before));
  const earlier = before ?? later(highest, 1);
  return {
    factor: exp(sub(real, highest)),
    // Where there was no key there is nothing to decay.
    logDecay: where(lessEqual(earlier, noHeight / 2), 0, sub(earlier, highest)),
    highest: slice(highest, -2, -1),
  };
}

/** The largest of each position and all before it, [B, H, S, 1]. */
function runningMax(x: Tensor): Tensor {
  let largest = x;
  for (let reach = 1; reach < x.shape[2]!; reach *= 2) largest = maximum(largest, later(largest, reach));
  return largest;
}

/** Positions moved to the right, with none in front. */
function later(x: Tensor, by: number): Tensor {
  const none = [0, 0] as const;
  return pad(slice(x, 2, 0, x.shape[2]! - by), [none, none, [by, 0], none], noHeight);
}
