import * as z from "zod";
import { attention } from "../attention/softmax/attention.ts";
import { postNormBlock } from "../blocks/block.ts";
import type { HaltingOptions } from "../depth/act.ts";
import { defaultPonderWeight, type UniversalParams, universal } from "../depth/universal.ts";
import type { Mixer } from "../kinds/index.ts";
import { embedding, scaledEmbedding } from "../nn/embedding.ts";
import { mlp, relu } from "../nn/feed-forward.ts";
import { normalInitial } from "../nn/initial.ts";
import { layerNorm } from "../nn/norm.ts";
import { requireSizes } from "../nn/sizes.ts";
import { stepSignals } from "../position/step-signals.ts";
import { present } from "../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "./decoder.ts";
import type { LanguageModel } from "./language-model.ts";
import {
  type DecoderEntry,
  depthCount,
  ffnWidthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "./model-entry.ts";

export type UniversalTransformerOptions = {
  readonly vocabularySize: number;
  /** How often the block is applied at most. */
  readonly layers: number;
  readonly modelWidth: number;
  /** Of softmax attention; a mixer brings its own. */
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** How positions exchange information; must be causal. Default: softmax attention. */
  readonly mixer?: Mixer;
  /** When positions halt and what becomes of their states. */
  readonly halting?: Omit<HaltingOptions, "maxSteps">;
  /** Of the ponder loss. Default: 0.01. */
  readonly ponderWeight?: number;
  readonly dropoutRate?: number;
  /** Of the norms. Default: 1e-6. */
  readonly epsilon?: number;
};

/**
 * Universal Transformer with adaptive computation time, as a language model: one block, applied to every position as often as the position
 * wants, its input marked with position and step each time.
 *
 * `a = norm(s + attention(s))`, `s ← norm(a + ffn(a))`, `s` being the state plus its signals; see `universal` for the halting.
 *
 * @source Dehghani et al. 2019, "Universal Transformers", arXiv:1807.03819
 * @differs decoder only; the paper's is an encoder-decoder
 */
export function universalTransformer(
  options: UniversalTransformerOptions,
): LanguageModel<DecoderParams<UniversalParams>> {
  return decoder(universalTransformerParts(options));
}

/** The parts of which {@link universalTransformer} is put together. */
export function universalTransformerParts(options: UniversalTransformerOptions): DecoderParts<UniversalParams> {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-6 } = options;
  const { ffnWidth = 4 * modelWidth, halting = {}, ponderWeight } = options;
  requireSizes("universal-transformer", options, { vocabularySize, layers, ffnWidth });
  const block = postNormBlock<unknown, unknown>({
    modelWidth,
    norm: layerNorm({ epsilon }),
    mixer: options.mixer ?? attention({ modelWidth, heads, dropoutRate }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate }),
  });
  return {
    name: "universal-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: scaledEmbedding(
      embedding(vocabularySize, modelWidth, normalInitial(modelWidth ** -0.5)),
      Math.sqrt(modelWidth),
    ),
    layerPositions: stepSignals(modelWidth),
    dropoutRate,
    depth: universal(block, { ...halting, ...present({ ponderWeight }), modelWidth, maxSteps: layers }),
  };
}

export type UniversalTransformerSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly ponderWeight?: number;
};

export const universalTransformerEntry: DecoderEntry<"universal-transformer", UniversalTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "universal-transformer",
    title: "Universal Transformer",
    year: 2019,
    paper: "Dehghani et al. 2019, Universal Transformers, arXiv:1807.03819",
    summary: "one block, applied to every position until it halts (ACT)",
    formula: "s ← block(s + PE[t] + PE[n]); stop when Σσ(w·s + b) > 1 − ε; y = Σ w_n·s_n",
    cost: "O(n²·d) time a step, O(n·d) memory",
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        layers: depthCount().default(6).describe("how often the block is applied at most"),
        ffnWidth: ffnWidthOption(),
        ponderWeight: z.number().nonnegative().default(defaultPonderWeight).describe("weight of the ponder loss"),
      }),
    make: (settings) => universalTransformer(present(settings)),
  });
