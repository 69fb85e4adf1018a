import { depthAdaptiveTransformerEntry } from "../models/encoder-decoders/depth-adaptive-transformer.ts";
import { ofAttention, ofBlock, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const depthAdaptiveTransformerSystem: SystemEntry<"depth-adaptive-transformer"> = /* @__PURE__ */ systemEntry(
  depthAdaptiveTransformerEntry,
  {
    category: "adaptive depth",
    causal: true,
    use: "translation and other writing from a source, where most tokens are easy and some need all layers",
    sees: "of the target, every earlier position, in each layer as far as that position went; and the whole source",
    differs: [
      "Losses of exits are added up instead of averaged, and their gradients are not scaled (γ).",
      "Mixed training draws one path of exits in a step; the paper draws several.",
      "Exits of whole sequences are an oracle only; no classifier predicts them.",
      "The paper's preset has the sizes of its IWSLT'14 model, for which the paper prints no number of parameters.",
    ],
    presets: {
      small: {
        about: "a decoder of three layers that follows pointers",
        run: {
          model: {
            kind: "depth-adaptive-transformer",
            layers: 1,
            decoderLayers: 3,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
          },
          task: { kind: "pointer-chasing" },
          length: 12,
          steps: 1200,
          batchSize: 64,
          learningRate: 3e-3,
        },
        vocabularySize: 55,
      },
      paper: {
        about: "six layers on IWSLT'14 German to English, aligned training (§5)",
        run: {
          model: {
            kind: "depth-adaptive-transformer",
            layers: 6,
            modelWidth: 512,
            heads: 4,
            ffnWidth: 1024,
            dropoutRate: 0.3,
          },
          length: 128,
          batchSize: 32,
          learningRate: 5e-4,
          labelSmoothing: 0.1,
        },
        vocabularySize: 10_000,
      },
    },
    parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }, model) => {
      const { decoderLayers = layers } = model as { readonly decoderLayers?: number };
      const block = ofBlock(modelWidth, ffnWidth);
      const crossBlock = block + ofAttention(modelWidth) + ofNorm(modelWidth);
      const classifiers = (decoderLayers - 1) * (modelWidth + 1);
      return vocabularySize * modelWidth + layers * block + decoderLayers * crossBlock + classifiers;
    },
    golden: ["depth_adaptive"],
    source: "models/encoder-decoders/depth-adaptive-transformer.ts",
    example: "depth-adaptive",
  },
);
