import { axialColumn, axialRow } from "../attention/patterns/axial.ts";
import { axialTransformerEntry } from "../models/pictures/axial-transformer.ts";
import { squareShape } from "../pictures/picture-model.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const axialTransformerSystem: SystemEntry<"axial-transformer"> = /* @__PURE__ */ systemEntry(
  axialTransformerEntry,
  {
    category: "pictures",
    causal: true,
    use: "larger pictures: every value is told from all before it at n√n pairs, and drawing repeats only the work of one row",
    sees: "of the channel itself all rows above, by rows and then columns that are shifted down by one, and its own row up to itself; and the channels before, whole",
    picture: (length) => {
      const columns = Math.round(Math.sqrt(length));
      return [
        { title: "outer, rows", pattern: axialRow({ columns, causal: false }) },
        { title: "outer, columns", pattern: axialColumn({ columns, causal: true }) },
        { title: "inner", pattern: axialRow({ columns, causal: true }) },
      ];
    },
    differs: [
      "The paper prints no number of parameters.",
      "A step trains on all channels; in the authors' code on one, drawn for each picture.",
      "Pixels enter the exterior part by a linear map, there by a 3 × 3 convolution.",
      "Optimised with AdamW and a cosine schedule in the small preset, without a moving average.",
    ],
    presets: {
      small: {
        about: "two blocks in each part, 8 × 8 pixels in colours; give --data, such as a folder of tiles",
        run: {
          model: { kind: "axial-transformer", layers: 2, modelWidth: 64, heads: 4 },
          task: { kind: "pictures", size: 8 },
          length: 192,
          steps: 300,
          batchSize: 16,
          learningRate: 2e-3,
        },
        vocabularySize: 256,
      },
      paper: {
        about: "ImageNet at 32 × 32, 3.76 bits per dimension (settings of the authors' code)",
        run: {
          model: { kind: "axial-transformer", layers: 8, modelWidth: 1536, heads: 16, dropoutRate: 0.04 },
          length: 3072,
          batchSize: 64,
          learningRate: 1e-4,
          clip: 1,
          ema: 0.99995,
        },
        vocabularySize: 256,
      },
    },
    // Levels, rows and columns; the exterior part with a linear map, rows and columns of its own; three stacks, a norm and classes.
    parameters: ({ vocabularySize, length, layers, modelWidth: C }, model) => {
      const { rows, columns, channels } = squareShape("parameters", length, vocabularySize);
      const { ffnWidth = C } = model as { readonly ffnWidth?: number };
      const places = (rows + columns) * C;
      const exterior = channels > 1 ? ofLinear(2 * channels, C) + places + layers * ofBlock(C, ffnWidth) : 0;
      const own = vocabularySize * C + places + 2 * layers * ofBlock(C, ffnWidth);
      return own + exterior + ofNorm(C) + ofLinear(C, vocabularySize);
    },
    golden: ["axial_attention"],
    source: "models/pictures/axial-transformer.ts",
    example: "axial-transformer",
  },
);
