import { universalTransformerEntry } from "../models/decoders/universal-transformer.ts";
import { ofAttention, ofBlock, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const universalTransformerSystem: SystemEntry<"universal-transformer"> = /* @__PURE__ */ systemEntry(
  universalTransformerEntry,
  {
    category: "adaptive depth",
    causal: true,
    use: "work that takes several steps of reasoning from few parameters: questions about stories, algorithms",
    sees: "every earlier position, again at each step; the paper's encoder sees all positions of the source",
    differs: [
      "The decoder alone is universal-transformer, encoder and decoder together are universal-encoder-decoder.",
      "A graph of fixed size makes all steps: what halts early keeps its result, but saves no time.",
      "The small preset makes a fixed number of steps, with norms before the sublayers, as the authors' code has them.",
      "By default, positions that halted go on being transformed, as in Tensor2Tensor; `halting: { keepsHalted: true }` is the paper's text.",
      "On SCAN (simple split) a stack of four layers of 48 has more commands right, 0.61, than one block of 96 four times, 0.41, with as many parameters and steps.",
      "On bAbI, word by word (the paper reads a sentence as one vector), 51,700 parameters and 1,300 steps of 32 rows of the 10,000 examples (rate 3e-3, one seed) tell little apart: of the questions of task 15, one block of 64 six times has 0.59 right, one layer of 64 0.59, six of 24 0.56; of task 16, 0.50, 0.47 and 0.49.",
      "The paper prints no number of parameters; its preset has the sizes of Tensor2Tensor's universal_transformer_base.",
    ],
    presets: {
      small: {
        about: "one block of width 64, six times, follows pointers",
        run: {
          model: {
            kind: "universal-transformer",
            layers: 6,
            modelWidth: 64,
            heads: 4,
            halts: false,
            preNorm: true,
          },
          task: { kind: "pointer-chasing", hops: 3 },
          length: 18,
          steps: 1000,
          batchSize: 64,
          learningRate: 3e-3,
        },
        vocabularySize: 61,
      },
      paper: {
        about: "English to German, the sizes of Tensor2Tensor's universal_transformer_base",
        run: {
          model: {
            kind: "universal-encoder-decoder",
            layers: 6,
            modelWidth: 1024,
            heads: 16,
            ffnWidth: 4096,
            dropoutRate: 0.3,
          },
          task: { kind: "translation" },
          length: 256,
          steps: 100_000,
          batchSize: 128,
          learningRate: 7e-4,
          schedule: { kind: "noam" },
        },
        vocabularySize: 32_768,
      },
    },
    // One block on either side, however many steps; the decoder's looks at the source, too. Each side has a halting unit where positions halt.
    parameters: ({ vocabularySize, modelWidth, ffnWidth }, { kind, halts = true, preNorm = false }) => {
      const block = ofBlock(modelWidth, ffnWidth) + (halts ? modelWidth + 1 : 0) + (preNorm ? ofNorm(modelWidth) : 0);
      const both = 2 * block + ofAttention(modelWidth) + ofNorm(modelWidth);
      return vocabularySize * modelWidth + (kind === "universal-transformer" ? block : both);
    },
    golden: ["act"],
    source: "models/decoders/universal-transformer.ts",
    example: "universal-transformer",
  },
);
