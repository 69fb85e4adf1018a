import { bertEntry } from "../models/encoders/bert.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const bertSystem: SystemEntry<"bert"> = /* @__PURE__ */ systemEntry(bertEntry, {
  category: "pre-training",
  causal: false,
  use: "texts of which few are labelled: pre-trained on any text, the body learns a class, a pair or a tag of each token in few steps",
  sees: "everything",
  differs: [
    "Parts of a row are stretches of the text that begin with a sentence where there is one, and may end within a sentence; they fill rows, where the paper shortens a tenth of them.",
    "The second part comes from anywhere in the text in half of the rows, not always from another document.",
    "`--objective.whole-words` hides all tokens of a word together, as in the models that the authors published later; the paper hides single tokens.",
    "Fine-tuned, the class of a row is read from the mean of its positions by a linear layer, and rows have no marks at their ends; the paper reads the first position, `[CLS]`, through the pooler.",
    "GELU is exact. AdamW corrects its means for their beginning, which the authors' code does not.",
    "With the vocabulary of 30,522 tokens, the pooler and the heads, there are 110.1M parameters in the base model and 336.2M in the large one (`--layers 24 --model-width 1024 --heads 16`); the paper prints 110M and 340M. The count here is without the pooler and its head, which come with the objective.",
  ],
  presets: {
    small: {
      about: "two layers over rows of 16 words, 15 % of which is hidden; `--objective next-sentence` adds the pairs",
      run: {
        model: { kind: "bert", layers: 2, modelWidth: 64, heads: 4, initializerRange: 0.075 },
        task: { kind: "text", tokens: "word" },
        objective: { kind: "masked" },
        length: 16,
        steps: 1000,
        batchSize: 64,
        learningRate: 2e-3,
      },
      vocabularySize: 142,
    },
    paper: {
      about: "BERT-Base (§3): GLUE 79.6 on average, 82.1 by BERT-Large (table 1)",
      run: {
        model: { kind: "bert", layers: 12, modelWidth: 768, heads: 12, ffnWidth: 3072, dropoutRate: 0.1 },
        objective: { kind: "next-sentence" },
        length: 512,
        steps: 1_000_000,
        batchSize: 256,
        optimiser: { kind: "adamw", beta2: 0.999, weightDecay: 0.01 },
        schedule: { kind: "cosine", warmupSteps: 10_000 },
        learningRate: 1e-4,
      },
      vocabularySize: 30_522,
      published: "110M",
    },
  },
  // Tokens, positions and two segments with a norm, blocks, and the head of hidden tokens: a dense layer, a norm, biases of the tied output.
  parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }) =>
    (vocabularySize + length + 2) * C +
    ofNorm(C) +
    layers * ofBlock(C, ffnWidth) +
    ofLinear(C, C) +
    ofNorm(C) +
    vocabularySize,
  golden: ["bert", "bert_pretraining"],
  source: "models/encoders/bert.ts",
  example: "bert",
});
