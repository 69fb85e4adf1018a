import { rootOf } from "../attention/patterns/usual-sizes.ts";
import { sparseTransformerEntry } from "../models/decoders/sparse-transformer.ts";
import { ofBlock, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const sparseTransformerSystem: SystemEntry<"sparse-transformer"> = /* @__PURE__ */ systemEntry(
  sparseTransformerEntry,
  {
    category: "pictures",
    causal: true,
    use: "long sequences with a period, such as pictures and music (strided), or without one, such as text (fixed), in deep stacks",
    sees: "in even layers the last 32 positions, in odd ones every 32nd: two layers connect every position with all before it",
    differs: [
      "Dropout of attention weights, too, not of residual branches alone.",
      "As a model of pictures it reads and tells values with the weights of that objective, which begin with a deviation of 0.02; rows and columns of its own grid stay.",
      "Recomputation is a depth of its own (`--depth recomputed`), and half precision a setting of training, here as there with a loss scale that adapts.",
      "The CIFAR-10 model of the paper has query and key projections of half the width, which ours does not; the preset is the one for text.",
      "Optimised with AdamW and a cosine schedule in the small preset.",
    ],
    presets: {
      small: {
        about: "four layers over pictures of 32 × 32 in grey, 1,024 positions; give --data, such as a folder of tiles",
        run: {
          model: {
            kind: "sparse-transformer",
            layers: 4,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            stride: 32,
          },
          task: { kind: "pictures", size: 32, grey: true },
          length: 1024,
          steps: 150,
          batchSize: 4,
          learningRate: 2e-3,
        },
        vocabularySize: 256,
      },
      paper: {
        about: "enwik8 with fixed attention, l = 128, c = 32, 12,288 positions: 0.99 bits per byte (table 2)",
        run: {
          model: {
            kind: "sparse-transformer",
            layers: 30,
            modelWidth: 512,
            heads: 8,
            factors: "fixed",
            stride: 128,
            summary: 32,
            use: "merged",
            dropoutRate: 0.4,
            depth: { kind: "recomputed" },
          },
          length: 12_288,
        },
        vocabularySize: 256,
        published: "95M",
      },
    },
    // Tokens, rows and columns of the grid, blocks, a norm and an output matrix.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }, model) => {
      const { stride = rootOf(length) } = model as { readonly stride?: number };
      const places = Math.ceil(length / stride) + stride;
      return (vocabularySize + places) * C + layers * ofBlock(C, ffnWidth) + ofNorm(C) + vocabularySize * C;
    },
    golden: ["sparse_transformer"],
    source: "models/decoders/sparse-transformer.ts",
    example: "sparse-transformer",
  },
);
