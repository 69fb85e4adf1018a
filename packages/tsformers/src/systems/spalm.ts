import { spalmEntry } from "../models/decoders/spalm.ts";
import { ofAttention, ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const spalmSystem: SystemEntry<"spalm"> = /* @__PURE__ */ systemEntry(spalmEntry, {
  category: "retrieval",
  causal: true,
  use: "facts too many to learn by heart, and those that came after training: they are looked up, and a gate decides at each position how much counts",
  sees: "what a Transformer-XL sees, and the tokens that followed the k contexts of a datastore nearest to its own",
  differs: [
    "Neighbours are found once, before training, by a trained Transformer-XL: `tsformers store build`, then `tsformers store neighbours`; `train --neighbours` takes the file.",
    "The context itself is left out of its neighbours in training. Without neighbours, as in `generate`, it is a Transformer-XL.",
    "How w_g begins is not published: here as the other weights do, so that g is about ½ at first.",
    "The paper's sizes could not be checked: its preset has those of Transformer-XL for enwik8.",
  ],
  presets: {
    small: {
      about: "two layers over words, segments and memory of 32",
      run: {
        model: { kind: "spalm", layers: 2, modelWidth: 64, heads: 4, memoryLength: 32 },
        task: { kind: "text", tokens: "word" },
        length: 32,
        steps: 600,
        batchSize: 16,
        learningRate: 1e-2,
        optimiser: { kind: "adamw", weightDecay: 0 },
      },
      vocabularySize: 214,
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
  source: "models/decoders/spalm.ts",
  example: "spalm",
});
