import { dimensionsOf, type PictureShape } from "./picture-model.ts";

/**
 * Pictures enlarged by repeating each pixel (nearest neighbour).
 *
 * @param values picture by picture, [N·r·w·K]
 * @param to extents that are multiples of those of `from`
 * @returns [N·R·W·K]
 */
export function enlargedPictures(values: ArrayLike<number>, from: PictureShape, to: PictureShape): Int32Array {
  const { rows, columns, channels } = to;
  const size = dimensionsOf(to);
  const count = values.length / dimensionsOf(from);
  return Int32Array.from({ length: count * size }, (_, at) => {
    const [picture, place] = [Math.floor(at / size), at % size];
    const [pixel, channel] = [Math.floor(place / channels), place % channels];
    const row = Math.floor((Math.floor(pixel / columns) * from.rows) / rows);
    const column = Math.floor(((pixel % columns) * from.columns) / columns);
    return values[((picture * from.rows + row) * from.columns + column) * channels + channel]!;
  });
}

/**
 * Pictures made smaller as `smallerPictures` does inside of a graph: the rounded mean of the square that each pixel covers.
 *
 * @param values picture by picture, [N·R·W·K]
 * @param to extents that divide those of `from`
 * @returns [N·r·w·K]
 */
export function shrunkPictures(values: ArrayLike<number>, from: PictureShape, to: PictureShape): Int32Array {
  const { rows, columns, channels } = from;
  const [high, wide] = [rows / to.rows, columns / to.columns];
  const size = dimensionsOf(from);
  const small = dimensionsOf(to);
  const sums = new Float64Array((values.length / size) * small);
  for (let at = 0; at < values.length; at++) {
    const [picture, place] = [Math.floor(at / size), at % size];
    const [pixel, channel] = [Math.floor(place / channels), place % channels];
    const [row, column] = [Math.floor(Math.floor(pixel / columns) / high), Math.floor((pixel % columns) / wide)];
    sums[picture * small + (row * to.columns + column) * channels + channel]! += values[at]!;
  }
  return Int32Array.from(sums, (sum) => Math.floor(sum / (high * wide) + 0.5));
}
