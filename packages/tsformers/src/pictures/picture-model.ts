import type { Concrete, Device, RandomKey, Tensor } from "@tsformers/engine";
import type { Context, DepthOutput } from "../kinds/index.ts";

/** Extents of pictures: R rows of W pixels with K channels each, a channel having so many levels. */
export type PictureShape = {
  readonly rows: number;
  readonly columns: number;
  /** 1 for grey, 3 for red, green and blue. */
  readonly channels: number;
  /** L: values are 0 … L − 1, from dark to bright. */
  readonly levels: number;
};

/** How many values a picture has: its dimensions, as in bits per dimension. */
export function dimensionsOf({ rows, columns, channels }: Omit<PictureShape, "levels">): number {
  return rows * columns * channels;
}

/**
 * The extents of square pictures of so many values, grey or of three colours.
 *
 * @throws RangeError for a number that is neither a square nor three times one
 */
export function squareShape(caller: string, values: number, levels: number): PictureShape {
  for (const channels of [3, 1]) {
    const side = Math.sqrt(values / channels);
    if (Number.isInteger(side) && side > 0) return { rows: side, columns: side, channels, levels };
  }
  throw new RangeError(
    `${caller}: expected a length of size² values (grey) or 3·size² (three colours), got ${values}; 768 are 16 × 16 × 3`,
  );
}

export type PictureOutput = Pick<DepthOutput, "losses" | "state"> & {
  /** −log p of what each step writes, in nats, float32 [B, S]: their sum is −log p of the picture. */
  readonly nats: Tensor;
};

/**
 * A model that says how likely pictures are, and draws them: `p(picture) = Π_s p(step s | the steps before)`. In which order it writes, and how many values at
 * a step, is its own.
 */
export type PictureModel<Params = unknown> = {
  readonly shape: PictureShape;
  /** The values that each step writes, as places in a picture read row by row, R·W·K: [S][n]. */
  readonly steps: readonly (readonly number[])[];
  init(key: RandomKey): Concrete<Params>;
  /** Extents of smaller pictures, which it reads and draws larger ones from: `p(picture | small picture)`. Absent: it draws from nothing. */
  readonly input?: PictureShape;
  /**
   * @param small what it draws from, where it has an `input`. Default: the pictures made smaller
   * @shape pictures int32 [B, R, W, K], small int32 [B, r, w, K]
   */
  apply(params: Params, pictures: Tensor, context: Context, small?: Tensor): PictureOutput;
  project?(params: Params): Params;
  openWriter(params: Concrete<Params>, options: WriterOptions): PictureWriter;
};

export type WriterOptions = {
  readonly device: Device;
  /** B, how many pictures are written side by side. */
  readonly count: number;
  /** Below 1, likelier values are preferred. Default: 1, the model's own probabilities. */
  readonly temperature?: number;
  /** Values of the small pictures that it draws from, picture by picture, [B·r·w·K]. Present for a model with an `input`. */
  readonly small?: ArrayLike<number>;
};

/** Writes pictures step by step, from the first step on. */
export type PictureWriter = {
  /**
   * Draws what step s writes, given what all earlier steps wrote.
   *
   * @param pictures [B·R·W·K]; only what was written before is read
   * @returns [B·n], the values of the step's places
   */
  draw(step: number, pictures: Int32Array, key: RandomKey): Promise<Int32Array>;
  release(): Promise<void>;
};

/** @throws RangeError for pictures of another shape */
export function requirePictures(caller: string, pictures: Tensor, { rows, columns, channels }: PictureShape): void {
  const [, ...extents] = pictures.shape;
  if (pictures.dtype === "int32" && String(extents) === String([rows, columns, channels])) return;
  throw new RangeError(
    `${caller}: expected pictures int32 [B, ${rows}, ${columns}, ${channels}], got ${pictures.dtype} [${pictures.shape.join(", ")}]`,
  );
}
