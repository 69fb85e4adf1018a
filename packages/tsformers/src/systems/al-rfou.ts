import { alRfouEntry } from "../models/decoders/al-rfou.ts";
import { ofBlock, ofLinear } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const alRfouSystem: SystemEntry<"al-rfou"> = /* @__PURE__ */ systemEntry(alRfouEntry, {
  category: "language model",
  causal: true,
  use: "stacks so deep that they do not learn from the loss of their last layer alone",
  sees: "every earlier position of its segment; nothing is carried from one segment to the next",
  differs: [
    "Optimised with AdamW in the small preset; the paper uses momentum.",
    "Weights are drawn as in Tensor2Tensor, since the paper does not say how.",
  ],
  presets: {
    small: {
      about: "a stack of 12 narrow layers over characters",
      run: {
        model: { kind: "al-rfou", layers: 12, modelWidth: 48, heads: 2 },
        task: { kind: "text" },
        length: 64,
        steps: 600,
        batchSize: 16,
        learningRate: 2e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "T12 on enwik8 and text8 (table 2), counted as in training, with the heads of all layers",
      run: {
        model: { kind: "al-rfou", layers: 12, modelWidth: 512, heads: 2, ffnWidth: 2048, dropoutRate: 0.55 },
        length: 512,
        steps: 4_000_000,
        batchSize: 16,
        optimiser: { kind: "sgd", momentum: 0.99 },
        learningRate: 0.003,
        schedule: { kind: "constant" },
      },
      vocabularySize: 256,
      published: "44M",
    },
  },
  // Two heads of every layer, of which one is the model's own; the embedding, and a table of positions for each layer.
  parameters: ({ vocabularySize, length, layers, modelWidth, ffnWidth }) =>
    vocabularySize * modelWidth +
    layers * (length * modelWidth + ofBlock(modelWidth, ffnWidth) + 2 * ofLinear(modelWidth, vocabularySize)),
  golden: [],
  source: "models/decoders/al-rfou.ts",
  example: "al-rfou",
});
