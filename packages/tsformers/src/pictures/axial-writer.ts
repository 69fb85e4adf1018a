import {
  type Concrete,
  compile,
  type DeviceArray,
  fromNumbers,
  gather,
  keyToArray,
  putTree,
  reshape,
  type Tensor,
} from "@tsformers/engine";
import type { Likelihood } from "./likelihood.ts";
import { dimensionsOf, type PictureShape, type PictureWriter, type WriterOptions } from "./picture-model.ts";

/** The three parts of an Axial Transformer over one channel of pictures; N pictures of R × W. */
export type AxialParts<Params> = {
  readonly shape: PictureShape;
  readonly likelihood: Likelihood<unknown>;
  /** What the channels before number `channel` say, [N, R, W, C]; values int32 [N, R, W, K], channel int32 [N]. */
  exterior(params: Params, pictures: Tensor, channel: Tensor): Tensor;
  /** What the rows above say, [N, R, W, C], the exterior included: values int32 [N, R, W]. */
  outer(params: Params, values: Tensor, exterior: Tensor): Tensor;
  /** Features of rows, [M, W, C], from the values before each in its row, int32 [M, W], and what is above, [M, W, C]. */
  inner(params: Params, values: Tensor, above: Tensor): Tensor;
};

export type AxialWriterOptions = WriterOptions & {
  /** When the rows above are looked at: once in a row, as is enough, or at every pixel, as a sampler that knows nothing of the model would. Default: row. */
  readonly outerPer?: "row" | "pixel";
};

/**
 * Writes channel by channel and row by row. The exterior part runs once in a channel, the outer one once in a row, and only the inner one, over one row, for
 * every pixel: semi-parallel sampling.
 *
 * @cost a picture of R × W × K: K exterior passes and R·K outer ones over all of it, and R·W·K inner ones over a row
 * @source Ho et al. 2019, "Axial Attention in Multidimensional Transformers", §3.2, arXiv:1912.12180
 */
export function openAxialWriter<Params extends { likelihood: unknown }>(
  { shape, likelihood, exterior, outer, inner }: AxialParts<Params>,
  params: Concrete<Params>,
  { device, count, temperature = 1, outerPer = "row" }: AxialWriterOptions,
): PictureWriter {
  const { rows, columns, channels } = shape;
  const dimensions = dimensionsOf(shape);
  const ofChannels = compile(exterior, { device }) as unknown as Compiled;
  const ofRows = compile(
    (own: Params, values: Tensor, known: Tensor, row: Tensor) => {
      const above = outer(own, values, known);
      return reshape(gather(above, reshape(row, [1]), 1), [count, columns, above.shape[3]!]);
    },
    { device },
  ) as unknown as Compiled;
  const ofPixels = compile(
    (own: Params, values: Tensor, above: Tensor, column: Tensor, key: Tensor) => {
      const x = inner(own, values, above);
      const here = reshape(gather(x, reshape(column, [1]), 1), [count, x.shape[2]!]);
      return likelihood.draw(own.likelihood, here, key, temperature);
    },
    { device },
  ) as unknown as Compiled;
  const held = putTree(params, device);
  const int = (values: ArrayLike<number>, ...extents: number[]) => fromNumbers(values, extents, "int32");
  let known: DeviceArray | undefined;
  let above: DeviceArray | undefined;
  return {
    draw: async (step, pictures, key) => {
      const channel = Math.floor(step / (rows * columns));
      const [row, column] = [Math.floor(step / columns) % rows, step % columns];
      const values = Int32Array.from(
        { length: count * rows * columns },
        (_, at) =>
          pictures[Math.floor(at / (rows * columns)) * dimensions + (at % (rows * columns)) * channels + channel]!,
      );
      if (row === 0 && column === 0)
        known = await ofChannels(
          held,
          int(pictures, count, rows, columns, channels),
          int(Array<number>(count).fill(channel), count),
        );
      if (column === 0 || outerPer === "pixel")
        above = await ofRows(held, int(values, count, rows, columns), known, int([row]));
      const line = Int32Array.from(
        { length: count * columns },
        (_, at) => values[(Math.floor(at / columns) * rows + row) * columns + (at % columns)]!,
      );
      const drawn = await ofPixels(held, int(line, count, columns), above, int([column]), keyToArray(key));
      return Int32Array.from((await drawn.read()).data as Int32Array);
    },
    release: async () => {
      for (const program of [ofChannels, ofRows, ofPixels]) await program.release();
    },
  };
}

type Compiled = ((...args: unknown[]) => Promise<DeviceArray>) & { release(): Promise<void> };
