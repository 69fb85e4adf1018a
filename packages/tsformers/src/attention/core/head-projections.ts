import { type Concrete, cast, type RandomKey, type Tensor } from "@tsformers/engine";
import type { MixerInput } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { headWidthOf, requireRate } from "../../nn/sizes.ts";
import { joinHeads, splitHeads } from "../softmax/attention.ts";
import { maskAt } from "./mask-at.ts";

export type HeadProjectionOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** D, width of a head. Default: modelWidth / heads. */
  readonly headWidth?: number;
  readonly bias?: boolean;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

/** Projections from the model's width into heads and back. */
export type HeadProjections = {
  readonly headWidth: number;
  /** Parameters of one input projection (of queries, keys or values). */
  initHeads(key: RandomKey): Concrete<LinearParams>;
  initOut(key: RandomKey): Concrete<LinearParams>;
  /** x [B, T, C] → [B, H, T, D] */
  toHeads(params: LinearParams, x: Tensor): Tensor;
  /** [B, H, T, D] → [B, T, C], followed by dropout. */
  fromHeads(params: LinearParams, mixed: Tensor, context: Context): Tensor;
};

/** @throws RangeError when a size is not a whole number, or the heads do not divide the width */
export function headProjections(mixer: string, options: HeadProjectionOptions): HeadProjections {
  const { modelWidth, heads, bias = true, dropoutRate = 0, initial = normalInitial() } = options;
  const headWidth = headWidthOf(mixer, options);
  requireRate(mixer, dropoutRate);
  const toHeads = linear(modelWidth, heads * headWidth, { bias, initial });
  const toOut = linear(heads * headWidth, modelWidth, { bias, initial });
  return {
    headWidth,
    initHeads: toHeads.init,
    initOut: toOut.init,
    toHeads: (params, x) => splitHeads(toHeads.apply(params, x), heads),
    fromHeads: (params, mixed, context) => dropout(toOut.apply(params, joinHeads(mixed)), dropoutRate, context, "out"),
  };
}

/** @throws TypeError when the input brings the keys and values of another sequence */
export function oneSequence(mixer: string, { cross }: MixerInput): void {
  if (cross === undefined) return;
  throw new TypeError(`${mixer}: self-attention only, got the keys and values of another`);
}

/** {@link maskAt} cast to float32. */
export function realAt(mask: Tensor | undefined, position: Tensor): Tensor | undefined {
  const own = maskAt(mask, position);
  return own && cast(own, "float32");
}
