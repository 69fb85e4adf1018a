import { type Concrete, constant, fromNumbers, gather, reshape, type Tensor } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { type Initial, normalInitial } from "./initial.ts";
import { type LinearParams, linear } from "./linear.ts";
import { requireCounts } from "./sizes.ts";

export type Convolution2dOptions = {
  /** Rows, and columns, of what it reads. */
  readonly side: number;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Rows, and columns, of a window. */
  readonly kernel: number;
  /** How far windows lie apart. Default: 1. */
  readonly stride?: number;
  /** Default: normal with deviation √(2 / inputs of a window), which suits a ReLU behind it. */
  readonly initial?: Initial;
};

/** How many windows of a convolution stand beside one another; there is no padding, and what is left over at the end is not read. */
export function windowsAcross({
  side,
  kernel,
  stride = 1,
}: Pick<Convolution2dOptions, "side" | "kernel" | "stride">): number {
  return Math.floor((side - kernel) / stride) + 1;
}

/**
 * Convolution over squares: `y[r, c] = W·(x in the window that begins at (r·stride, c·stride)) + b`, without padding.
 *
 * @shape  x [N, side², inChannels] → [N, across², outChannels], row by row; weight [kernel²·inChannels, outChannels]
 * @cost   O(N·across²·kernel²·inChannels·outChannels) time
 * @throws RangeError for a window that is larger than the square
 */
export function convolution2d(options: Convolution2dOptions): Layer<LinearParams> {
  const { side, inChannels, outChannels, kernel, stride = 1 } = options;
  requireCounts("convolution2d", { side, inChannels, outChannels, kernel, stride });
  if (kernel > side)
    throw new RangeError(`convolution2d: a window of ${kernel} × ${kernel} does not fit ${side} × ${side}`);
  const across = windowsAcross(options);
  const inputs = kernel ** 2 * inChannels;
  const { initial = normalInitial(Math.sqrt(2 / inputs)) } = options;
  const map = linear(inputs, outChannels, { initial });
  const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const places = range(across).flatMap((r) =>
    range(across).flatMap((c) =>
      range(kernel).flatMap((y) => range(kernel).map((x) => (r * stride + y) * side + c * stride + x)),
    ),
  );
  return {
    init: (key): Concrete<LinearParams> => map.init(key),
    apply: (params, x: Tensor) => {
      const windows = gather(x, constant(fromNumbers(places, [places.length], "int32")), 1);
      return map.apply(params, reshape(windows, [x.shape[0]!, across ** 2, inputs]));
    },
  };
}
