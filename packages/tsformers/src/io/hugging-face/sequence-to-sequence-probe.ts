import { concat, equal, fill, slice, type Tensor, where } from "@tsformers/engine";
import type { Context } from "../../kinds/layer.ts";
import type { EncodeOutput, SequenceToSequence } from "../../models/sequence-to-sequence.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { present } from "../../schema/present.ts";
import { numbered, weightsOf } from "./decoder-probe.ts";
import { type InputRule, labelInput, maskInput, type NamedTensors, tokenInput } from "./format.ts";

/** Inputs of an encoder-decoder under the names of transformers. */
export function sequenceToSequenceInputs(vocabularySize: number): Record<string, InputRule> {
  return {
    input_ids: tokenInput(vocabularySize),
    attention_mask: maskInput,
    decoder_input_ids: tokenInput(vocabularySize),
    decoder_attention_mask: maskInput,
    labels: labelInput(vocabularySize),
  };
}

/**
 * A forward pass of an encoder-decoder under the names of transformers, but for the encoder's maps.
 *
 * @param options.globals of the source, where the model takes them from its input
 */
export function sequenceToSequencePass<Params>(
  model: SequenceToSequence<Params>,
  params: unknown,
  inputs: NamedTensors,
  options: { readonly start: number; readonly padding: number; readonly globals?: Tensor | undefined },
  context: Context,
): { readonly encoded: EncodeOutput; readonly tokens: Tensor; readonly results: NamedTensors } {
  const { input_ids: source, attention_mask: mask, decoder_attention_mask: targetMask, labels } = inputs;
  if (source === undefined) throw new Error("expected input_ids [B, S]");
  const tokens = inputs.decoder_input_ids ?? (labels && shiftRight(labels, options));
  if (tokens === undefined) throw new Error("expected decoder_input_ids or labels [B, T]");
  const given = { tokens: source, ...present({ mask, globals: options.globals }) };
  const encoded = model.encode(params as Params, given, context);
  const out = model.decode(params as Params, { tokens, encoded, ...present({ mask: targetMask }) }, context);
  return {
    encoded,
    tokens,
    results: {
      logits: out.logits,
      ...numbered("enc_hidden_", encoded.hidden),
      enc_hidden_last: encoded.memory,
      ...numbered("dec_hidden_", out.hidden),
      dec_hidden_last: out.hidden.at(-1)!,
      ...numbered("dec_attn", weightsOf(out.maps)),
      ...numbered("cross_attn", weightsOf(out.crossMaps)),
      ...(labels !== undefined && { loss: meanCrossEntropy(out.logits, labels) }),
    },
  };
}

/** Labels shifted right by a start token, without the last; ignored labels become padding. */
function shiftRight(labels: Tensor, { start, padding }: { readonly start: number; readonly padding: number }): Tensor {
  const [batch] = labels.shape as [number, number];
  const shifted = concat([fill([batch, 1], start, "int32"), slice(labels, 1, 0, -1)], 1);
  return where(equal(shifted, -100), padding, shifted);
}
