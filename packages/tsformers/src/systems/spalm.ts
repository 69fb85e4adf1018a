import { spalmEntry } from "../models/spalm.ts";
import { ofAttention, ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const spalmSystem: SystemEntry<"spalm"> = /* @__PURE__ */ systemEntry(spalmEntry, {
  category: "retrieval",
  causal: true,
  use: "language models that learn when to trust what they look up: a gate decides at each position, where kNN-LM has one share for all",
  sees: "what a Transformer-XL sees, and the tokens that followed the k contexts of a datastore nearest to its own",
  differs: [
    "Neighbours are found once, before training, by a trained Transformer-XL: `tsformers store build`, then `tsformers store neighbours`; `train --neighbours` takes the file.",
    "The context itself is left out of its neighbours in training. Without neighbours, as in `generate`, it is a Transformer-XL.",
    "Sizes and initial gate were not published in a form that could be checked: the paper's preset has Transformer-XL's sizes for enwik8.",
  ],
  presets: {
    small: {
      about: "two layers over 1,000 byte pair tokens, segments and memory of 32",
      run: {
        model: { kind: "spalm", layers: 2, modelWidth: 64, heads: 4, memoryLength: 32 },
        task: { kind: "text", tokens: "bpe", vocabulary: 1000 },
        length: 32,
        steps: 500,
        batchSize: 16,
        learningRate: 3e-3,
      },
      vocabularySize: 1000,
    },
    paper: {
      about: "Transformer-XL's 12 layers for enwik8, 4 neighbours",
      run: {
        model: {
          kind: "spalm",
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
        clip: 0.25,
      },
      vocabularySize: 204,
    },
  },
  // A Transformer-XL, and w_g.
  parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }) =>
    vocabularySize * (modelWidth + 1) +
    3 * modelWidth +
    layers *
      (ofAttention(modelWidth, { bias: false }) +
        modelWidth ** 2 +
        ofFfn(modelWidth, ffnWidth) +
        2 * ofNorm(modelWidth)),
  golden: ["spalm"],
  source: "models/spalm.ts",
  example: "spalm",
});
