import type { Tensor } from "@tsformers/engine";
import type { Context } from "../kinds/index.ts";
import type { LanguageModel, LanguageModelOutput, TokensInput } from "./language-model.ts";

/** Which tokens are predicted, and from which others. */
export type Prediction = {
  /** Whether token t is predicted from token s, bool [B, T, T]; a token is never predicted from itself. */
  readonly sees: Tensor;
  /** The positions that are predicted, int32 [B, P]. Default: all. */
  readonly places?: Tensor;
};

export type TwoStreamOutput = LanguageModelOutput & {
  /** What was predicted for the token at each place, [B, P, V]; `logits` are those of the content stream, which sees the token itself. */
  readonly predicted: Tensor;
  /** The query stream after the last layer, [B, P, C]. */
  readonly queries: Tensor;
};

/** A model that predicts each token from any others: a second stream knows the place that is asked for, and not the token there. */
export type TwoStreamModel<Params = unknown> = LanguageModel<Params> & {
  predict(params: Params, input: TokensInput & Prediction, context: Context): TwoStreamOutput;
};

export function hasTwoStreams<Params>(model: LanguageModel<Params>): model is TwoStreamModel<Params> {
  return "predict" in model;
}
