import type { DataFile } from "../../io/data-files.ts";
import type { LabelledImage } from "./pixels.ts";

/** Pictures as a file has them, before they are split; those of the test only where the data say which. */
export type FoundImages = {
  readonly side: number;
  readonly classNames: readonly string[];
  readonly images: readonly LabelledImage[];
  readonly test?: readonly LabelledImage[];
};

/** Finds a file of some data by its name; undefined where there is none. */
export type FindFile = (name: RegExp) => DataFile | undefined;

/** The luminance of a colour, 0 … 255. */
export function greyOf(red: number, green: number, blue: number): number {
  return Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
}

/** Names for classes that have none. */
export function numbered(classes: number): string[] {
  return Array.from({ length: classes }, (_, label) => String(label));
}

/** One more than the largest label. */
export function classesIn(labels: Uint8Array): number {
  return labels.reduce((most, label) => Math.max(most, label + 1), 0);
}
