import type * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import type { LabelledRow } from "../row-forms.ts";

/** The tokens of pictures: 0 is padding, the others are levels of grey, from black to white. */
export function pixelSymbols(levels: number): {
  readonly vocabularySize: number;
  readonly symbolOf: (token: number) => string;
} {
  return { vocabularySize: levels + 1, symbolOf: (token) => (token === 0 ? "pad" : String(token - 1)) };
}

/**
 * A picture as a row of tokens, from left to right and from top to bottom.
 *
 * @throws RangeError when it does not fit the length
 */
export function imageRow(task: string, pixels: Uint8Array, label: number, length: number): LabelledRow {
  if (pixels.length > length)
    throw new RangeError(`${task}: a picture of ${pixels.length} pixels does not fit a length of ${length}`);
  return { tokens: Array.from(pixels, (level) => level + 1), label };
}

/** The setting for the length of rows that are pictures. */
export function imageLengthOption(size: string): z.ZodOptional<z.ZodInt> {
  return positionCount()
    .optional()
    .describe(`tokens in a training row, at least ${size} × ${size}; more are padding. Default: ${size} × ${size}`);
}
