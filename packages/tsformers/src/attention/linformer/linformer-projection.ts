import {
  broadcastTo,
  type Concrete,
  cast,
  constant,
  div,
  expandDims,
  full,
  greater,
  matmul,
  max,
  maximum,
  ones,
  pad,
  type RandomKey,
  reshape,
  slice,
  type Tensor,
} from "@tsformers/engine";
import { glorotUniform, type Initial, normalInitial } from "../../nn/initial.ts";

/**
 * Shortens a sequence by a matrix E [S, M] from S positions to M slots, the same for all channels (of a head). E is the transpose of
 * the paper's k × n matrix.
 */
export type LengthProjection<Params> = {
  /** M: the largest number of slots. */
  readonly slots: number;
  /** The longest sequence, in positions. */
  readonly length: number;
  /** With `heads`, each head has a matrix of its own. */
  init(key: RandomKey, heads?: number): Concrete<Params>;
  /**
   * `Eᵀ·x`: [B, S, C] → [B, M, C], or by head [B, H, S, D] → [B, H, M, D]. Padding in `x` must be 0 already.
   *
   * @param real 1 for real positions, 0 for padding, [B, S]. Default: all are real
   */
  apply(params: Params, x: Tensor, real?: Tensor): Tensor;
  /** 1 for slots that hold anything real, [B, M]. */
  filled(real: Tensor): Tensor;
};

export type ProjectionSize = {
  /** The longest sequence, in positions. */
  readonly length: number;
  /** How many slots a sequence of that length fills. */
  readonly slots: number;
};

export type LearnedProjectionParams = { weight: Tensor };

/**
 * Learned projection: every slot holds a learned sum over all positions, `x̄_j = Σ_s E[s, j]·x_s`.
 *
 * A shorter sequence uses the first rows of E. Where E has more columns than `slots`, the first of them are used.
 *
 * @shape  weight [length, slots], by head [H, length, slots]
 * @cost   O(B·S·M·C) time, length·slots parameters
 * @source Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity", §4, arXiv:2006.04768
 */
export function learnedProjection(
  size: ProjectionSize & { readonly initial?: Initial },
): LengthProjection<LearnedProjectionParams> {
  const { length, slots } = checked("learnedProjection", size);
  const initial = size.initial ?? glorotUniform();
  return {
    length,
    slots,
    init: (key, heads) => ({ weight: initial(key, [...(heads === undefined ? [] : [heads]), length, slots]) }),
    apply: ({ weight }, x) => {
      const own = slice(slice(weight, -2, 0, x.shape.at(-2)!), -1, 0, slots);
      return matmul(own, x, { transposeA: true });
    },
    filled: (real) => broadcastTo(max(real, { axes: -1, keepDims: true }), [real.shape[0]!, slots]),
  };
}

/**
 * Mean pooling: slot j holds the mean of the real positions in its window of `⌈length / slots⌉` consecutive positions. A shorter
 * sequence fills fewer slots.
 *
 * @cost   O(B·S·C) time, no parameters
 * @source Wang et al. 2020, §4, "General projections"
 */
export function meanProjection(size: ProjectionSize): LengthProjection<Record<string, never>> {
  const { length, slots } = checked("meanProjection", size);
  const width = Math.ceil(length / slots);
  return {
    length,
    slots,
    init: () => ({}),
    apply: (_, x, real) => {
      const counts = windowSums(expandDims(real ?? constant(full([1, x.shape.at(-2)!], 1)), -1), width);
      const byHead = x.shape.length === 4 ? expandDims(counts, 1) : counts;
      return div(windowSums(x, width), cast(maximum(byHead, 1), x.dtype));
    },
    filled: (real) => filledWindows(real, width),
  };
}

export type ConvolutionProjectionParams = { weight: Tensor };

/**
 * Strided convolution: slot j holds a learned sum of the `⌈length / slots⌉` positions of its window, `x̄_j = Σ_i a[i]·x_{jw + i}`.
 * The kernel is as long as the stride, and shared by all slots. A shorter sequence fills fewer slots; the last window is
 * padded with zeros.
 *
 * @shape  weight [W], by head [H, W], for windows of W positions
 * @cost   O(B·S·C) time, W parameters
 * @source Wang et al. 2020, §4, "General projections"
 */
export function convolutionProjection(
  size: ProjectionSize & { readonly initial?: Initial },
): LengthProjection<ConvolutionProjectionParams> {
  const { length, slots } = checked("convolutionProjection", size);
  const width = Math.ceil(length / slots);
  const initial = size.initial ?? normalInitial(1 / Math.sqrt(width));
  return {
    length,
    slots,
    init: (key, heads) => ({ weight: initial(key, heads === undefined ? [width] : [heads, width]) }),
    apply: ({ weight }, x) => {
      const heads = weight.shape.slice(0, -1);
      return windowSums(x, width, reshape(weight, [...heads, 1, 1, width]));
    },
    filled: (real) => filledWindows(real, width),
  };
}

function checked(name: string, size: ProjectionSize): ProjectionSize {
  const { length, slots } = size;
  if (Number.isInteger(length) && Number.isInteger(slots) && slots >= 1 && length >= slots) return size;
  throw new RangeError(
    `${name}: expected at least one slot and at most one for each position, got ${slots} slots for length ${length}`,
  );
}

/** Weighted sums over windows, with the same weights in each: [..., S, C] → [..., ⌈S / W⌉, C], taps [..., 1, 1, W]. Default: ones. */
function windowSums(x: Tensor, width: number, taps: Tensor = ones([1, width], x.dtype)): Tensor {
  const [length, channels] = x.shape.slice(-2) as [number, number];
  const windows = Math.ceil(length / width);
  const batch = x.shape.slice(0, -2);
  const whole = pad(x, [...batch.map((): [number, number] => [0, 0]), [0, windows * width - length], [0, 0]]);
  const sums = matmul(taps, reshape(whole, [...batch, windows, width, channels]));
  return reshape(sums, [...batch, windows, channels]);
}

function filledWindows(real: Tensor, width: number): Tensor {
  const counts = windowSums(expandDims(real, -1), width);
  return cast(greater(reshape(counts, counts.shape.slice(0, -1)), 0), real.dtype);
}
