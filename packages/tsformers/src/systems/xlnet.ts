import { runsOf } from "../attention/core/runs.ts";
import type { Pattern } from "../kinds/index.ts";
import { xlnetEntry } from "../models/decoders/xlnet.ts";
import { ofAttention, ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const xlnetSystem: SystemEntry<"xlnet"> = /* @__PURE__ */ systemEntry(xlnetEntry, {
  category: "language model",
  causal: false,
  use: "filling in several tokens that depend on each other: hidden tokens are predicted one after another from both sides, not each on its own",
  sees: "when a text is read, everything; when the token at a place is predicted, all given tokens and those predicted before it, but not itself: here with every third token hidden, from left to right",
  picture: () => [
    { title: "content stream", pattern: seen("content stream", true) },
    { title: "query stream", pattern: seen("query stream", false) },
  ],
  differs: [
    "Hidden are single tokens, as the task's masked view chooses them; the paper hides spans of 1 to 5 tokens.",
    "Rows are read without memories by the command; the library's objective carries them from batch to batch.",
    "No dropout of the sinusoids. A token that is predicted from nothing gets 0 from attention.",
    "The paper prints no number of parameters; it says that there are about as many as in BERT-Large.",
  ],
  presets: {
    small: {
      about: "two layers over characters, 15 % of which are hidden",
      run: {
        model: { kind: "xlnet", layers: 2, modelWidth: 64, heads: 4, initializerRange: 0.075 },
        task: { kind: "text" },
        objective: { kind: "permuted" },
        length: 64,
        steps: 600,
        batchSize: 16,
        learningRate: 2e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "XLNet-Large (appendix A.4.1)",
      run: {
        model: { kind: "xlnet", layers: 24, modelWidth: 1024, heads: 16, ffnWidth: 4096, dropoutRate: 0.1 },
        objective: { kind: "permuted" },
        length: 512,
        steps: 500_000,
        batchSize: 8192,
        learningRate: 4e-4,
      },
      vocabularySize: 32_000,
    },
  },
  // Projections have no biases. Each layer projects the sinusoids and has three biases of queries and two vectors of segments; w is the start of
  // the query stream, and the tied output has a bias.
  parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }) =>
    vocabularySize * (modelWidth + 1) +
    modelWidth +
    layers *
      (ofAttention(modelWidth, { bias: false }) +
        modelWidth ** 2 +
        5 * modelWidth +
        ofFfn(modelWidth, ffnWidth) +
        2 * ofNorm(modelWidth)),
  golden: ["xlnet"],
  source: "models/decoders/xlnet.ts",
  example: "xlnet",
});

const isHidden = (at: number): boolean => at % 3 === 1;

/** Given tokens, and hidden ones before the query; the content stream sees the query's own token, too. */
function seen(name: string, self: boolean): Pattern {
  return {
    name,
    keys: (query, length) => {
      const all = Array.from({ length }, (_, key) => key);
      return runsOf(all.filter((key) => (key === query ? self : !isHidden(key) || (isHidden(query) && key < query))));
    },
  };
}
