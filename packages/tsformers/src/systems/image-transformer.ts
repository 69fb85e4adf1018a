import { local2dGenerated } from "../attention/patterns/local-2d.ts";
import { imageTransformerEntry } from "../models/pictures/image-transformer.ts";
import { squareShape } from "../pictures/picture-model.ts";
import { ofBlock, ofLinear } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const imageTransformerSystem: SystemEntry<"image-transformer"> = /* @__PURE__ */ systemEntry(
  imageTransformerEntry,
  {
    category: "pictures",
    causal: true,
    use: "drawing, completing and enlarging pictures: pixels are told by distributions that know that near levels are alike",
    sees: "its block up to itself, the strip above it and the strip left of it, in the order in which a picture of 8 × 8 is drawn",
    picture: (length) => {
      const side = Math.round(Math.sqrt(length));
      const grid = { rows: side, columns: side, queryBlock: [4, 4], flange: [4, 4], causal: true } as const;
      return [{ title: "each layer", pattern: local2dGenerated(grid) }];
    },
    differs: [
      "The paper prints no number of parameters.",
      "A pixel is read as the sum of a vector for each channel, which is what the paper's embeddings and 1 × 3 convolution come to.",
      "Vectors of row, column and channel are added; there half of the features tell the row and half the rest.",
      "Super-resolution (`--input-size`): the small picture is the mean of the pixels of the large one; its encoder reads a pixel as the sum of a vector for each channel.",
      "Classes to draw from are left out.",
      "Optimised with AdamW and a cosine schedule in the small preset.",
    ],
    presets: {
      small: {
        about:
          "three layers that draw 8 × 8 pixels in colours, by discretised logistics; give --data, such as a folder of tiles",
        run: {
          model: { kind: "image-transformer", layers: 3, modelWidth: 64, heads: 4, ffnWidth: 128 },
          task: { kind: "pictures", size: 8 },
          length: 192,
          steps: 300,
          batchSize: 16,
          learningRate: 2e-3,
        },
        vocabularySize: 256,
      },
      paper: {
        about: "CIFAR-10 with 1-D attention and classes: 2.90 bits per dimension (settings of the authors' code)",
        run: {
          model: {
            kind: "image-transformer",
            layers: 12,
            modelWidth: 512,
            heads: 4,
            ffnWidth: 2048,
            local: "1d",
            block: 256,
            likelihood: "categorical",
            dropoutRate: 0.3,
          },
          length: 3072,
          batchSize: 4,
        },
        vocabularySize: 256,
      },
    },
    // Without a small picture. Levels of each channel, a start, rows, columns and, where a step is a channel, channels; a token that is never read, blocks, and what is told.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }, model) => {
      const { rows, columns, channels } = squareShape("parameters", length, vocabularySize);
      const { likelihood, mixtures = 10 } = model as { readonly likelihood?: string; readonly mixtures?: number };
      const isClass = likelihood === "categorical";
      const read = channels * vocabularySize + 1 + rows + columns + (isClass && channels > 1 ? channels : 0);
      const perMixture = 1 + 2 * channels + (channels * (channels - 1)) / 2;
      const told = isClass ? vocabularySize : mixtures * perMixture;
      return (read + 1) * C + layers * ofBlock(C, ffnWidth) + ofLinear(C, told);
    },
    golden: ["image_local"],
    source: "models/pictures/image-transformer.ts",
    example: "image-transformer",
    moreExamples: ["image-super-resolution"],
  },
);
