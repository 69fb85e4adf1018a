import type { Tensor } from "@tsformers/engine";
import type { Context } from "../kinds/index.ts";
import type { LanguageModel, LanguageModelOutput, TokensInput } from "./language-model.ts";

export type SummaryOutput = LanguageModelOutput & {
  /** The state of each segment's global token, [B, G, C]. */
  readonly summaries: Tensor;
  /** 1 for those of segments that a row has, float32 [B, G]. */
  readonly summaryMask: Tensor;
  /** The segment of each position, int32 [B, L], of 0 … G − 1. */
  readonly segments: Tensor;
};

/** A model that sums up each segment of its input in the state of a global token. */
export type SummaryModel<Params = unknown> = LanguageModel<Params> & {
  /** G, how many segments a row has at most. */
  readonly globals: number;
  /** The segment of each position, int32 [B, L], of 0 … G − 1: stretches of consecutive positions, where an input does not tell them. */
  segmentsOf(input: TokensInput): Tensor;
  summarise(params: Params, input: TokensInput, context: Context): SummaryOutput;
};

export function hasSummaries<Params>(model: LanguageModel<Params>): model is SummaryModel<Params> {
  return "summarise" in model;
}
