import {
  add,
  type Concrete,
  constant,
  expandDims,
  fromNumbers,
  iota,
  reshape,
  splitKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { makeView } from "../../attention/core/view.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import type { Depth } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { within } from "../../nn/dropout.ts";
import { type EmbeddingParams, embedding } from "../../nn/embedding.ts";
import type { Initial } from "../../nn/initial.ts";
import type { PictureShape } from "../../pictures/picture-model.ts";
import { type AxialParams, axial } from "../../position/axial.ts";

export type PictureEncoderOptions = {
  readonly shape: PictureShape;
  readonly modelWidth: number;
  readonly depth: Depth<unknown>;
  /** Of embeddings. */
  readonly initial: Initial;
};

export type PictureEncoderParams = {
  /** A vector for each level of each channel, [K·L, C]. */
  values: EmbeddingParams;
  places: AxialParams;
  depth: unknown;
};

/**
 * Pictures to a vector for each pixel, all of which see each other: `x = Σ_c E_c[v_c] + row + column`, then the layers.
 *
 * @shape pictures int32 [B, R, W, K] → [B, R·W, C]
 */
export function pictureEncoder({ shape, modelWidth, depth, initial }: PictureEncoderOptions): {
  init(key: Parameters<Depth["init"]>[0]): Concrete<PictureEncoderParams>;
  apply(params: PictureEncoderParams, pictures: Tensor, context: Context): Tensor;
} {
  const { rows, columns, channels, levels } = shape;
  const values = embedding(channels * levels, modelWidth, initial);
  const places = axial({ grid: [rows, columns], widths: modelWidth, initial });
  const offsets = fromNumbers(
    Array.from({ length: channels }, (_, channel) => channel * levels),
    [channels],
    "int32",
  );
  return {
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return {
        values: values.init(a!),
        places: places.init(b!),
        depth: depth.init(c!),
      } as Concrete<PictureEncoderParams>;
    },
    apply: (params, pictures, context) => {
      const pixels = rows * columns;
      const known = add(reshape(pictures, [pictures.shape[0]!, pixels, channels]), constant(offsets));
      const content = sum(values.apply(params.values, known), { axes: 2 });
      const x = add(content, expandDims(places.apply(params.places, iota(pixels)), 0));
      const view = makeView({ pattern: fullPattern, queries: pixels, keys: pixels });
      return depth.apply(params.depth, { x, view: () => view, state: {} }, within(context, "encoder")).x;
    },
  };
}
