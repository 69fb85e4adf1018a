import { shapeText } from "@tsformers/engine";
import type { RowContent } from "./language-model.ts";

/**
 * Makes sure that an input has either tokens or vectors, and that vectors have the right width.
 *
 * @param model its name, for errors
 * @throws TypeError when it has both or neither; RangeError for vectors of another shape than [B, T, `width`]
 */
export function requireContent(model: string, { tokens, vectors }: Partial<RowContent>, width: number): void {
  if ((tokens === undefined) === (vectors === undefined))
    throw new TypeError(`${model}: expected tokens or vectors, got ${tokens === undefined ? "neither" : "both"}`);
  if (vectors === undefined) return;
  const { shape } = vectors;
  if (shape.length !== 3 || shape[2] !== width)
    throw new RangeError(`${model}: expected vectors [B, T, ${width}], got ${shapeText(shape)}`);
}
