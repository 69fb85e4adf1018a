import type { StackParams } from "../depth/layers.ts";
import type { Head } from "../nn/head.ts";
import type { LanguageModel } from "./language-model.ts";
import { type TokenBodyParams, type TokenBodyParts, tokenBody } from "./token-body.ts";
import { type WithHead, withLogits } from "./with-logits.ts";

/** The parts of an encoder that fills in tokens, each a value of its kind; what is absent is not there. */
export type EncoderParts<HeadParams = unknown, DepthParams = StackParams> = Omit<
  TokenBodyParts<DepthParams>,
  "causal"
> & {
  /** Logits from hidden states. */
  readonly head: Head<HeadParams>;
};

export type EncoderParams<HeadParams = unknown, DepthParams = StackParams> = WithHead<
  TokenBodyParams<DepthParams>,
  HeadParams
>;

/** An encoder: embed, layers that look both ways, logits of every position. */
export function encoder<HeadParams, DepthParams>(
  parts: EncoderParts<HeadParams, DepthParams>,
): LanguageModel<EncoderParams<HeadParams, DepthParams>> {
  const { head, ...rest } = parts;
  return withLogits(tokenBody({ ...rest, causal: false }), head);
}
