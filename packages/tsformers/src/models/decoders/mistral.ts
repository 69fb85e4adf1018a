import * as z from "zod";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { requireCounts } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  headWidthOption,
  keyValueHeadsOption,
  modelEntry,
  type StackSettings,
  stackOptions,
  windowOption,
} from "../model-entry.ts";
import { type LlamaOptions, llamaParts } from "./llama.ts";

export type MistralOptions = LlamaOptions & {
  /** W, positions that a query sees, itself among them; 4096 in the 7B model. */
  readonly window: number;
};

/**
 * Mistral: {@link llama} with a sliding window in every layer. Through N layers it looks N·(W − 1) positions back, and keeps the keys and
 * values of W.
 *
 * @source Jiang et al. 2023, "Mistral 7B", §2, arXiv:2310.06825
 * @differs the output is tied to the embedding unless a {@link linearHead} takes its place, as in the 7B model
 */
export function mistral(options: MistralOptions): LanguageModel<DecoderParams> {
  return decoder(mistralParts(options));
}

/** The parts of {@link mistral}. */
export function mistralParts({ window, ...options }: MistralOptions): DecoderParts {
  const parts = llamaParts(options, "mistral");
  requireCounts("mistral", { window });
  return { ...parts, pattern: slidingWindow({ before: window - 1, after: 0 }) };
}

export type MistralSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
  readonly headWidth?: number;
  readonly window?: number;
};

export const mistralEntry: DecoderEntry<"mistral", MistralSettings> = /* @__PURE__ */ modelEntry({
  name: "mistral",
  title: "Mistral",
  year: 2023,
  paper: "Jiang et al. 2023, Mistral 7B, arXiv:2310.06825",
  summary: "Llama with a sliding window in every layer",
  formula: "x ← x + attention(rms(x)), S_i = {j : i − W < j ≤ i}; x ← x + (silu(x·W_g) ∘ x·W_in)·W_out",
  cost: "O(n·W·d) time, O(n·d) memory",
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption("7/2 × modelWidth"),
      keyValueHeads: keyValueHeadsOption(),
      headWidth: headWidthOption(),
      window: windowOption(),
    }),
  make: ({ ffnWidth, ...settings }) =>
    mistral({ ...present(settings), ffnWidth: ffnWidth ?? Math.ceil(3.5 * settings.modelWidth) }),
});
