import { type Concrete, relu, reshape, splitKey, type Tensor } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import { convolution2d, windowsAcross } from "./convolution-2d.ts";
import { normalInitial } from "./initial.ts";
import { type LinearParams, linear } from "./linear.ts";

/** Features of the first convolution; each further one has twice as many. */
const firstChannels = 16;
const windows = { kernel: 4, stride: 2 };

/** Rows and columns that three convolutions need. */
export const leastSide = 22;

export type PictureNetworkParams = { convolutions: LinearParams[]; out: LinearParams };

/**
 * A vector for each of some small grey pictures: three convolutions of 4 × 4 pixels with stride 2 and 16, 32 and 64 features, each followed by a ReLU, and a
 * linear map. Of 28 × 28 pixels they leave 13 × 13, 5 × 5 and 1 × 1.
 *
 * @param width C, features of a vector
 * @shape x [B, T, side²] → [B, T, C]
 * @throws RangeError for pictures of less than 22 × 22 pixels
 */
export function pictureNetwork(side: number, width: number): Layer<PictureNetworkParams> {
  if (!(Number.isInteger(side) && side >= leastSide))
    throw new RangeError(`pictures: expected at least ${leastSide} × ${leastSide} pixels, got ${side} × ${side}`);
  const sides = [0, 1, 2].reduce((all) => [...all, windowsAcross({ side: all.at(-1)!, ...windows })], [side]);
  const convolutions = [0, 1, 2].map((i) =>
    convolution2d({
      side: sides[i]!,
      ...windows,
      inChannels: i === 0 ? 1 : firstChannels * 2 ** (i - 1),
      outChannels: firstChannels * 2 ** i,
    }),
  );
  const last = sides[3]! ** 2 * firstChannels * 4;
  const out = linear(last, width, { initial: normalInitial(last ** -0.5) });
  return {
    init: (key): Concrete<PictureNetworkParams> => {
      const [a, ...keys] = splitKey(key, 4);
      const params = { convolutions: convolutions.map((layer, i) => layer.init(keys[i]!)), out: out.init(a!) };
      return params as Concrete<PictureNetworkParams>;
    },
    apply: (params, x: Tensor) => {
      const [rows, length] = x.shape as [number, number, number];
      const pictures = reshape(x, [rows * length, side ** 2, 1]);
      const seen = convolutions.reduce((y, layer, i) => relu(layer.apply(params.convolutions[i]!, y)), pictures);
      return out.apply(params.out, reshape(seen, [rows, length, last]));
    },
  };
}
