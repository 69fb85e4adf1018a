import { ofBlock, ofNorm } from "./parameter-count.ts";
import { type Preset, type SystemEntry, systemEntry } from "./system-entry.ts";

const model = (size: object): Preset["run"]["model"] => ({ kind: "gpt", position: { kind: "sinusoidal" }, ...size });

export const knnLmSystem: SystemEntry<"knn-lm"> = /* @__PURE__ */ systemEntry(
  {
    name: "knn-lm",
    title: "kNN-LM",
    year: 2020,
    paper:
      "Khandelwal et al. 2020, Generalization through Memorization: Nearest Neighbor Language Models, arXiv:1911.00172",
    summary: "a trained language model, mixed with what followed the nearest contexts in a datastore",
    formula: "p(y) = (1 − λ)·p_LM(y) + λ·Σ_{i: w_i = y} softmax_i(−|f(x) − k_i|²)",
    cost: "O(N·d) time a position for N entries of an exact search, 4·(d + 1) bytes an entry",
  },
  {
    category: "retrieval",
    causal: true,
    use: "what is said rarely, and texts that a model was not trained on: they are added to a datastore, without training",
    sees: "every earlier position of its row, and the entries of a datastore nearest to its state before the last feed-forward network",
    differs: [
      "The presets are those of the language model, which is trained as usual. `tsformers store build` makes a datastore of it, `tsformers eval --store` and `tsformers generate --store` mix it in.",
      "The search is exact where the paper's is approximate (32 of 4,096 clusters); distances are recomputed from whole keys, as there.",
      "The paper's preset is that of its corpora of subwords; its model of WikiText-103 has an adaptive input and output of 267,744 words. It prints no number of parameters for subwords.",
    ],
    presets: {
      small: {
        about: "two layers over 1,000 byte pair tokens; keys of 64 features",
        run: {
          model: model({ layers: 2, modelWidth: 64, heads: 4, initializerRange: 0.05 }),
          task: { kind: "text", tokens: "bpe", vocabulary: 1000 },
          length: 64,
          steps: 400,
          batchSize: 16,
          learningRate: 4e-3,
        },
        vocabularySize: 1000,
      },
      paper: {
        about: "16 layers of 1,024 over 29,000 subwords (§3); k = 1,024",
        run: {
          model: model({ layers: 16, modelWidth: 1024, heads: 16, ffnWidth: 4096, dropoutRate: 0.1 }),
          length: 1024,
          steps: 286_000,
          batchSize: 64,
          learningRate: 1e-4,
        },
        vocabularySize: 29_000,
      },
    },
    // The datastore has no parameters.
    parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }) =>
      vocabularySize * modelWidth + layers * ofBlock(modelWidth, ffnWidth) + ofNorm(modelWidth),
    golden: ["knn_lm"],
    source: "retrieval/mixture.ts",
    example: "knn-lm",
  },
);
