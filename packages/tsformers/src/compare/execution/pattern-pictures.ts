import { pictureOf } from "../../attention/patterns/draw.ts";
import { panelsOf } from "../../attention/patterns/panels.ts";
import type { LayerPatterns } from "../../kinds/index.ts";
import type { PatternPicture } from "../results.ts";

/** More are not looked at. */
const mostPictures = 4;
/** Cells along a side. */
const mostCells = 64;

/** Small pictures of what the layers of a model see, one for each different pattern, for its cell of the parity table. */
export function patternPictures(
  patternOf: LayerPatterns,
  { length, layers, heads }: { readonly length: number; readonly layers: number; readonly heads: number },
): PatternPicture[] {
  return panelsOf(patternOf, { layers, heads })
    .slice(0, mostPictures)
    .map(({ title, pattern }) => ({ title, length, ...pictureOf(pattern, length, mostCells) }));
}
