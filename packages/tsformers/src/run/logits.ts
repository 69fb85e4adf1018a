import { type Device, evaluate, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { evaluation } from "../kinds/layer.ts";
import type { OpenedModel } from "./open-model.ts";

/**
 * Logits of an opened decoder or encoder for one row of tokens, in one pass. To generate text, use `openGenerator`;
 * for many rows, `compile` a function around `model.apply`.
 *
 * @shape  tokens T → [1, T, V]
 * @throws TypeError for an encoder-decoder, whose logits also depend on a source; RangeError for no tokens
 */
export async function logitsOf(
  { model, params, directory }: OpenedModel,
  tokens: ArrayLike<number>,
  device: Device,
): Promise<NDArray> {
  if (model.category === "encoder-decoder")
    throw new TypeError(`${directory}: an encoder-decoder reads a source, too; use model.encode and model.decode`);
  if (model.category === "picture")
    throw new TypeError(
      `${directory}: a model of pictures has no logits of tokens; model.apply tells how likely pictures are`,
    );
  if (tokens.length === 0) throw new RangeError("logitsOf: expected at least one token");
  const forward = (weights: unknown, row: Tensor) => model.apply(weights as never, { tokens: row }, evaluation).logits;
  const row = ndarray(Int32Array.from(tokens), [1, tokens.length], "int32");
  return (await evaluate(forward, device, params as never, row as never)) as unknown as NDArray;
}
