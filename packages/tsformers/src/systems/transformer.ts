import { causal, fullPattern } from "../attention/patterns/pattern.ts";
import { transformerEntry } from "../models/encoder-decoders/transformer.ts";
import { ofAttention, ofBlock, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const transformerSystem: SystemEntry<"transformer"> = /* @__PURE__ */ systemEntry(transformerEntry, {
  category: "translation",
  causal: false,
  use: "writing one sequence while reading another, such as a translation",
  sees: "in the encoder everything, in the decoder what is written already; each layer of the decoder also sees the whole source, which is not drawn",
  picture: () => [
    { title: "encoder", pattern: fullPattern },
    { title: "decoder", pattern: causal },
  ],
  differs: [
    "Sources and targets are in batches as they come, padded to one length; the paper puts pairs of about the same length together, 25,000 tokens of each side.",
    "No average of the last checkpoints: `--ema` averages parameters while it trains.",
    "The length penalty of beam search is lengthᵅ, with α = 1 where nothing is said.",
    "AdamW has ε = 1e-8, the paper 1e-9; its weight decay is 0 in the presets, which makes it Adam.",
    "With 37,000 tokens and a bias in every projection there are 63.1M parameters in the base model and 214.2M in the big one (`--model-width 1024 --heads 16`); the paper prints 65M and 213M.",
  ],
  presets: {
    small: {
      about:
        "two layers on either side, short sentences in 2,000 tokens of both languages; give --data, such as Tatoeba's swe-eng.zip",
      run: {
        model: { kind: "transformer", layers: 2, modelWidth: 128, heads: 4, ffnWidth: 256, dropoutRate: 0.1 },
        task: { kind: "translation", tokens: "bpe", vocabulary: 2000 },
        length: 20,
        steps: 900,
        batchSize: 32,
        optimiser: { kind: "adamw", beta2: 0.98, weightDecay: 0 },
        schedule: { kind: "noam", warmupSteps: 200 },
        learningRate: 3e-3,
        labelSmoothing: 0.1,
      },
      vocabularySize: 2002,
    },
    paper: {
      about:
        "the base model for English and German (table 3): BLEU 27.3 on newstest2014 (table 2); the big one has 28.4",
      run: {
        model: { kind: "transformer", layers: 6, modelWidth: 512, heads: 8, ffnWidth: 2048, dropoutRate: 0.1 },
        task: { kind: "translation", tokens: "bpe", vocabulary: 37_000 },
        length: 256,
        steps: 100_000,
        batchSize: 800,
        optimiser: { kind: "adamw", beta2: 0.98, weightDecay: 0 },
        schedule: { kind: "noam", warmupSteps: 4000 },
        // 1 / √(512 · 4000), the rate at the end of the warm-up.
        learningRate: 6.99e-4,
        labelSmoothing: 0.1,
      },
      vocabularySize: 37_000,
    },
  },
  // One matrix for source, target and output; blocks of the decoder have a second attention and its norm.
  parameters: ({ vocabularySize, layers, modelWidth: C, ffnWidth }) =>
    vocabularySize * C + layers * (2 * ofBlock(C, ffnWidth) + ofAttention(C) + ofNorm(C)),
  golden: ["nn_transformer_postln"],
  source: "models/encoder-decoders/transformer.ts",
  example: "transformer",
});
