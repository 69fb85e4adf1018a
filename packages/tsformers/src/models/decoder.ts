import type { StackParams } from "../depth/layers.ts";
import { type Head, tiedHead } from "../nn/head.ts";
import type { LanguageModel } from "./language-model.ts";
import { type TokenBodyParams, type TokenBodyParts, tokenBody } from "./token-body.ts";
import { type WithHead, withLogits } from "./with-logits.ts";

/** The parts of a decoder-only language model, each a value of its kind; what is absent is not there. */
export type DecoderParts<DepthParams = StackParams> = Omit<TokenBodyParts<DepthParams>, "causal"> & {
  /** Logits from hidden states. Default: the token embedding itself (tied). */
  readonly head?: Head;
};

export type DecoderParams<DepthParams = StackParams> = WithHead<TokenBodyParams<DepthParams>>;

/**
 * A decoder-only language model: embed, layers that look back, logits. Causal whatever it is made of, see {@link tokenBody}.
 *
 * @throws TypeError for a mixer that is not causal, and for a pattern that no layer would read
 */
export function decoder<DepthParams>(parts: DecoderParts<DepthParams>): LanguageModel<DecoderParams<DepthParams>> {
  const { head = tiedHead(), ...rest } = parts;
  return withLogits<TokenBodyParams<DepthParams>, unknown>(tokenBody({ ...rest, causal: true }), head as Head);
}
