import { dimensionsOf, type PictureShape } from "./picture-model.ts";

/** A picture of bytes, and its extents. */
export type Sheet = {
  readonly values: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly channels: number;
};

/** Between pictures, in pixels. */
const gap = 1;

/**
 * Pictures beside and below one another in one, from left to right and from top to bottom, with white lines between them.
 *
 * @param pictures levels, picture by picture, [N·R·W·K]
 * @param across how many stand beside one another
 */
export function sheetOf(pictures: ArrayLike<number>, shape: PictureShape, across: number): Sheet {
  const { rows, columns, channels, levels } = shape;
  const count = pictures.length / dimensionsOf(shape);
  const [height, width] = [rows + gap, columns + gap];
  const extents = {
    rows: Math.ceil(count / across) * height - gap,
    columns: Math.min(count, across) * width - gap,
    channels,
  };
  const values = new Uint8Array(extents.rows * extents.columns * channels).fill(255);
  for (let at = 0; at < pictures.length; at++) {
    const [pixel, channel] = [Math.floor(at / channels), at % channels];
    const [line, column] = [Math.floor(pixel / columns), pixel % columns];
    const [picture, row] = [Math.floor(line / rows), line % rows];
    const y = Math.floor(picture / across) * height + row;
    const x = (picture % across) * width + column;
    values[(y * extents.columns + x) * channels + channel] = Math.round((pictures[at]! * 255) / (levels - 1));
  }
  return { values, ...extents };
}
