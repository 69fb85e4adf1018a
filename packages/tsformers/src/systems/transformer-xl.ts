import { transformerXlEntry } from "../models/decoders/transformer-xl.ts";
import { ofAttention, ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const transformerXlSystem: SystemEntry<"transformer-xl"> = /* @__PURE__ */ systemEntry(transformerXlEntry, {
  category: "memory",
  causal: true,
  use: "long texts read in short segments: evaluation reuses what was computed instead of sliding a window",
  sees: "the earlier positions of its segment and the inputs of its layer at the last memoryLength positions; through N layers N times as far",
  differs: ["No dropout of the sinusoids, nor of attention weights beyond the common rate."],
  presets: {
    small: {
      about: "four layers over characters, segments and memory of 32",
      run: {
        model: { kind: "transformer-xl", layers: 4, modelWidth: 64, heads: 4, memoryLength: 32 },
        task: { kind: "text" },
        length: 32,
        steps: 600,
        batchSize: 16,
        learningRate: 2e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "12 layers on enwik8 (table 2)",
      run: {
        model: {
          kind: "transformer-xl",
          layers: 12,
          modelWidth: 512,
          heads: 8,
          ffnWidth: 2048,
          memoryLength: 512,
          dropoutRate: 0.1,
        },
        length: 512,
        steps: 400_000,
        batchSize: 22,
        learningRate: 2.5e-4,
        schedule: { kind: "cosine" },
        clip: 0.25,
      },
      vocabularySize: 204,
      published: "41M",
    },
  },
  // Projections have no biases; u and v are shared by the layers, and each layer projects the sinusoids. The tied output has a bias.
  parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }) =>
    vocabularySize * (modelWidth + 1) +
    2 * modelWidth +
    layers *
      (ofAttention(modelWidth, { bias: false }) +
        modelWidth ** 2 +
        ofFfn(modelWidth, ffnWidth) +
        2 * ofNorm(modelWidth)),
  golden: ["transformer_xl", "transformer_xl_adaptive"],
  source: "models/decoders/transformer-xl.ts",
  example: "transformer-xl",
});
