import { fixedBlock } from "../attention/patterns/fixed.ts";
import { tDmcaEntry } from "../models/decoders/t-dmca.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const tDmcaSystem: SystemEntry<"t-dmca"> = /* @__PURE__ */ systemEntry(tDmcaEntry, {
  category: "long inputs",
  causal: true,
  use: "writing about a long source that stands before what is written, in one sequence: source, separator, target, as tasks with pairs have it for decoders",
  sees: "local layers: the own block up to the position itself; compressed layers: the first position and all whole blocks of three before, each as one key",
  picture: (length) => [
    { title: "local layers", pattern: fixedBlock({ stride: Math.ceil(length / 8), causal: true }) },
    {
      title: "compressed layers",
      pattern: { name: "whole blocks of 3 before", keys: (query) => [0, Math.max(1, query - (query % 3))] },
    },
  ],
  differs: [
    "Without the mixtures of experts of the paper's largest model.",
    "The loss is that of the target alone; the paper's model predicts the source, too.",
    "Which compressed positions a query sees is not told in the paper; it is as in the authors' library.",
    "The paper prints no number of parameters.",
    "Optimised with AdamW and a cosine schedule in the small preset, instead of Adam with a root schedule.",
  ],
  presets: {
    small: {
      about: "five layers of 64, blocks of 32, rows of source, separator and copy",
      run: {
        model: { kind: "t-dmca", layers: 5, modelWidth: 64, heads: 4, ffnWidth: 128, block: 32 },
        task: { kind: "copy" },
        length: 256,
        steps: 400,
        batchSize: 8,
        learningRate: 2e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about:
        "WikiSum, the settings of tensor2tensor's base model in five layers L-M-L-M-L, 11,000 tokens of source (§4.2, table 4)",
      run: {
        model: {
          kind: "t-dmca",
          layers: 5,
          modelWidth: 512,
          heads: 8,
          ffnWidth: 2048,
          block: 256,
          factor: 3,
          dropoutRate: 0.1,
        },
        length: 11_500,
      },
      vocabularySize: 32_768,
    },
  },
  // Tokens, which are the output as well, blocks, a convolution in every other one, a norm.
  parameters: ({ vocabularySize, layers, modelWidth: C, ffnWidth }, { factor = 3 }) =>
    vocabularySize * C +
    layers * ofBlock(C, ffnWidth) +
    Math.floor(layers / 2) * ofLinear(Number(factor) * C, C) +
    ofNorm(C),
  golden: ["memory_compressed"],
  source: "models/decoders/t-dmca.ts",
  example: "t-dmca",
});
