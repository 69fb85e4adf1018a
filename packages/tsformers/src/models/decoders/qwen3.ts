import * as z from "zod";
import { attention } from "../../attention/softmax/attention.ts";
import type { Mixer } from "../../kinds/index.ts";
import { rmsNorm } from "../../nn/norm.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  fullCost,
  headWidthOption,
  keyValueHeadsOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { type LlamaOptions, llamaParts } from "./llama.ts";

export type Qwen3Options = Omit<LlamaOptions, "mixer">;

/**
 * Qwen3: {@link llama} with RMS norms of queries and keys, one gain for all heads, before they are rotated. Positions rotate more slowly,
 * with a base of 1,000,000.
 *
 * @source Qwen Team 2025, "Qwen3 Technical Report", §2, arXiv:2505.09388
 */
export function qwen3(options: Qwen3Options): LanguageModel<DecoderParams> {
  return decoder(qwen3Parts(options));
}

/** The parts of {@link qwen3}. */
export function qwen3Parts({ attentionBias = false, ...options }: Qwen3Options): DecoderParts {
  const { epsilon = 1e-6 } = options;
  const mixer = () => attention({ ...options, bias: attentionBias, qkNorm: rmsNorm({ epsilon }) }) as Mixer<unknown>;
  return llamaParts({ ...options, rotary: { base: 1e6, ...options.rotary }, mixer }, "qwen3");
}

export type Qwen3Settings = StackSettings & {
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
  readonly headWidth?: number;
};

export const qwen3Entry: DecoderEntry<"qwen3", Qwen3Settings> = /* @__PURE__ */ modelEntry({
  name: "qwen3",
  title: "Qwen3",
  year: 2025,
  paper: "Qwen Team 2025, Qwen3 Technical Report, arXiv:2505.09388",
  summary: "Llama with norms of queries and keys",
  formula: "q, k = R·rms(x·W_q), R·rms(x·W_k); x ← x + attention(rms(x)); x ← x + (silu(x·W_g) ∘ x·W_in)·W_out",
  cost: fullCost,
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption("3 × modelWidth"),
      keyValueHeads: keyValueHeadsOption(),
      headWidth: headWidthOption(),
    }),
  make: ({ ffnWidth, ...settings }) => qwen3({ ...present(settings), ffnWidth: ffnWidth ?? 3 * settings.modelWidth }),
});
