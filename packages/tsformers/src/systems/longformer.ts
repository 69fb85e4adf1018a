import { longformer } from "../attention/patterns/longformer.ts";
import { longformerEntry } from "../models/encoders/longformer.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const longformerSystem: SystemEntry<"longformer"> = /* @__PURE__ */ systemEntry(longformerEntry, {
  category: "long inputs",
  causal: false,
  use: "long documents: classes, spans that answer questions, and hidden words, starting from a dense checkpoint of a quarter of the length",
  sees: "half a window on each side; the first token, or those that the input names, see everything and are seen by all",
  picture: () => [
    { title: "a window of 16 and the first token", pattern: longformer({ window: 16, globals: [0], causal: false }) },
  ],
  differs: [
    "Inputs of any length are computed as they are, not padded to whole windows.",
    "The preset begins at random; `--from` makes it of a dense run or checkpoint, with positions tiled and projections of global tokens copied, as in the paper.",
    "Windows are not dilated. Causal, in stages of growing windows, it is `gpt` with `--mixer longformer`.",
    "The authors' checkpoint has 149 million parameters without its output layers (the paper prints no number); counted here are those of the whole model.",
  ],
  presets: {
    small: {
      about: "three layers with windows of 16, rows of 64 words",
      run: {
        model: { kind: "longformer", layers: 3, modelWidth: 64, heads: 4, window: 16 },
        task: { kind: "text", tokens: "word" },
        length: 64,
        steps: 300,
        batchSize: 16,
        learningRate: 1e-3,
      },
      vocabularySize: 128,
    },
    paper: {
      about: "Longformer-base, continued from RoBERTa at 4,096 positions with windows of 512 (§5)",
      run: {
        model: { kind: "longformer", layers: 12, modelWidth: 768, heads: 12, window: 512, dropoutRate: 0.1 },
        length: 4096,
        steps: 65_000,
        batchSize: 64,
        learningRate: 3e-5,
      },
      vocabularySize: 50_265,
    },
  },
  // Tokens, positions and one segment; blocks with three more projections, of global tokens; the output layers, whose matrix is that of the tokens.
  parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }) =>
    (vocabularySize + length + 1) * C +
    ofNorm(C) +
    layers * (ofBlock(C, ffnWidth) + 3 * ofLinear(C, C)) +
    ofLinear(C, C) +
    ofNorm(C) +
    vocabularySize,
  golden: ["longformer"],
  source: "models/encoders/longformer.ts",
  example: "longformer",
});
