import * as z from "zod";
import { unrotated } from "../../attention/core/unrotated.ts";
import { gatedDeltaNet } from "../../attention/recurrent/gated-delta-net.ts";
import { attention } from "../../attention/softmax/attention.ts";
import type { Mixer } from "../../kinds/index.ts";
import { zeroCentredRmsNorm } from "../../nn/norm.ts";
import { requireCounts, requireSizes } from "../../nn/sizes.ts";
import { passCount } from "../../schema/count.ts";
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
} from "../model-entry.ts";
import { type LlamaOptions, llamaParts } from "./llama.ts";

export type Qwen3NextOptions = Omit<LlamaOptions, "mixer" | "norm" | "ffnBias"> & {
  /** Which layers attend to everything; the others are Gated DeltaNet. Default: every fourth. */
  readonly attends?: (layer: number) => boolean;
  /** Of the Gated DeltaNet. Default: 2·heads heads of values, `heads` of keys, all of them of modelWidth / heads features. */
  readonly memory?: DeltaSizes;
};

/** Sizes of the Gated DeltaNet layers. */
export type DeltaSizes = {
  readonly heads: number;
  readonly keyHeads: number;
  readonly keyWidth: number;
  readonly valueWidth: number;
};

/**
 * Qwen3-Next: three layers of {@link gatedDeltaNet}, whose memory has a fixed size, then one of softmax attention, and so on. Attention has
 * norms of queries and keys, a gate on what its heads have mixed, and rotates a quarter of their features. Gains of norms are 1 + w.
 *
 * @source Qwen Team 2025, "Qwen3-Next: Towards Ultimate Training & Inference Efficiency"; Yang et al. 2024, arXiv:2412.06464
 * @differs networks are dense; the published models have a mixture of experts in every layer
 */
export function qwen3Next(options: Qwen3NextOptions): LanguageModel<DecoderParams> {
  return decoder(qwen3NextParts(options));
}

/** The parts of {@link qwen3Next}. */
export function qwen3NextParts({ attends = everyFourth, memory, ...options }: Qwen3NextOptions): DecoderParts {
  const { modelWidth, heads, epsilon = 1e-6, attentionBias: bias = false, dropoutRate = 0 } = options;
  requireSizes("qwen3-next", options, {});
  const { headWidth = modelWidth / heads } = options;
  const norm = zeroCentredRmsNorm({ epsilon });
  const softmax = attention({ ...options, bias, dropoutRate, qkNorm: norm, gate: true }) as Mixer<unknown>;
  const delta = unrotated(
    gatedDeltaNet({ modelWidth, epsilon, dropoutRate, ...(memory ?? usualMemory(modelWidth, heads)) }),
  ) as Mixer<unknown>;
  return llamaParts(
    {
      ...options,
      norm,
      rotary: { rotated: rotatedQuarter(headWidth), base: 1e7, ...options.rotary },
      mixer: (layer) => (attends(layer) ? softmax : delta),
    },
    "qwen3-next",
  );
}

/** Features of a head that are rotated: an even number. */
export function rotatedQuarter(headWidth: number): number {
  return Math.max(2, 2 * Math.floor(headWidth / 8));
}

function usualMemory(modelWidth: number, heads: number): DeltaSizes {
  const width = modelWidth / heads;
  return { heads: 2 * heads, keyHeads: heads, keyWidth: width, valueWidth: width };
}

const everyFourth = everyLast(4);

/** The last of each `period` layers. */
export function everyLast(period: number): (layer: number) => boolean {
  requireCounts("qwen3-next", { period });
  return (layer) => (layer + 1) % period === 0;
}

export type Qwen3NextSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly keyValueHeads?: number;
  readonly headWidth?: number;
  readonly period?: number;
};

export const qwen3NextEntry: DecoderEntry<"qwen3-next", Qwen3NextSettings> = /* @__PURE__ */ modelEntry({
  name: "qwen3-next",
  title: "Qwen3-Next",
  year: 2025,
  paper: "Qwen Team 2025, Qwen3-Next: Towards Ultimate Training & Inference Efficiency",
  summary: "Gated DeltaNet, and every fourth layer gated attention",
  formula: "x ← x + mixer(rms(x)), mixer = delta, delta, delta, attention, …; x ← x + (silu(x·W_g) ∘ x·W_in)·W_out",
  cost: "O(n²·d/4 + n·d²) time, O(n·d) memory",
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      ffnWidth: ffnWidthOption("3 × modelWidth"),
      keyValueHeads: keyValueHeadsOption(),
      headWidth: headWidthOption(),
      period: passCount().default(4).describe("one of so many layers attends; the others are Gated DeltaNet"),
    }),
  make: ({ ffnWidth, period = 4, ...settings }) =>
    qwen3Next({ ...present(settings), ffnWidth: ffnWidth ?? 3 * settings.modelWidth, attends: everyLast(period) }),
});
