import type { DataFile } from "../../io/data-files.ts";
import type { LabelledImage } from "./pixels.ts";

/** Pictures as a file has them, pixel by pixel, before they are split; those of the test only where the data say which. */
export type FoundImages = {
  readonly side: number;
  /** Values of a pixel: 1 of grey, 3 of colour, 4 of colour and opacity. */
  readonly channels: number;
  readonly classNames: readonly string[];
  readonly images: readonly LabelledImage[];
  readonly test?: readonly LabelledImage[];
};

/** Finds a file of some data by its name; undefined where there is none. */
export type FindFile = (name: RegExp) => DataFile | undefined;

/**
 * Pixels with as many values as are wanted: colours become grey by their luminance, grey becomes colour, what is transparent is seen before black.
 *
 * @param from 1, 3 or 4 values of a pixel
 */
export function convertedPixels(values: Uint8Array, from: number, to: 1 | 3): Uint8Array {
  if (from === to) return values;
  const pixels = new Uint8Array((values.length / from) * to);
  for (let pixel = 0; pixel < values.length / from; pixel++) {
    const at = pixel * from;
    const [red, green, blue] = from === 1 ? [values[at]!, values[at]!, values[at]!] : values.subarray(at, at + 3);
    const opacity = from === 4 ? values[at + 3]! / 255 : 1;
    const wanted = to === 3 ? [red!, green!, blue!] : [Math.round(0.299 * red! + 0.587 * green! + 0.114 * blue!)];
    wanted.forEach((value, channel) => {
      pixels[pixel * to + channel] = Math.round(value * opacity);
    });
  }
  return pixels;
}

/** Names for classes that have none. */
export function numbered(classes: number): string[] {
  return Array.from({ length: classes }, (_, label) => String(label));
}

/** One more than the largest label. */
export function classesIn(labels: Uint8Array): number {
  return labels.reduce((most, label) => Math.max(most, label + 1), 0);
}
