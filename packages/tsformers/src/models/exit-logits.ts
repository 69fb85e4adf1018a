import type { Tensor } from "@tsformers/engine";
import { finalNormOf } from "../depth/layers.ts";
import { tiedHead } from "../nn/head.ts";
import { present } from "../schema/present.ts";
import type { EncoderDecoderParams, EncoderDecoderParts } from "./encoder-decoder.ts";
import type { DecodeOutput } from "./sequence-to-sequence.ts";

/**
 * Logits after every layer of a decoder, as if the model ended there: all layers share the final norm and the head.
 *
 * @shape  hidden states N × [B, T, C] → N × [B, T, V]
 */
export function exitLogits(
  { head = tiedHead(), decoderNorm }: Pick<EncoderDecoderParts, "head" | "decoderNorm">,
  params: EncoderDecoderParams,
  { hidden, logits }: Pick<DecodeOutput, "hidden" | "logits">,
): readonly Tensor[] {
  const norm = finalNormOf(present({ finalNorm: decoderNorm }), params.decoder);
  // The first state is the embedded input; the last has passed the norm, and the model's own logits come from it.
  return [...hidden.slice(1, -1).map((state) => head.apply(params.head, norm(state), params.tokens)), logits];
}
