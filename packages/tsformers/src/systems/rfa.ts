import { rfaEntry } from "../attention/kernel/rfa.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const rfaSystem: SystemEntry<"rfa"> = /* @__PURE__ */ systemEntry(
  { ...rfaEntry, title: "Random feature attention with a gate: a language model" },
  {
    category: "kernels and low rank",
    causal: true,
    use: "language models whose state does not grow, where what was read lately counts most: a gate says how fast the rest fades",
    sees: "every earlier position, through sums over random features whose number does not depend on how many there are",
    differs: [
      "Blocks and positions are GPT-2's. The paper's input is adaptive; here it is one table of the tokens, so that no count is compared.",
      "The normaliser is kept at a distance of 1e-3 from 0 in all forms; the authors' code has at least 1 in the recurrent one.",
      "Carrying the state from one batch to the next (the paper's stateful runs) is left out, and so is cross attention of its translation models.",
    ],
    presets: {
      small: {
        about: "two layers over characters with rotary positions; the gate takes one number a head and position",
        run: {
          model: {
            kind: "gpt",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            initializerRange: 0.06,
            position: { kind: "rotary" },
            mixer: { kind: "rfa", gated: true, features: 32 },
          },
          task: { kind: "text" },
          length: 128,
          steps: 300,
          batchSize: 8,
          learningRate: 4e-3,
        },
        vocabularySize: 64,
      },
      paper: {
        about: "WikiText-103, the big model of 16 layers: perplexity 25.0 (23.5 with a state that is carried on)",
        run: {
          model: {
            kind: "gpt",
            layers: 16,
            modelWidth: 1024,
            heads: 16,
            ffnWidth: 4096,
            mixer: { kind: "rfa", gated: true, features: 64 },
          },
          length: 512,
        },
        vocabularySize: 267_735,
      },
    },
    // Tokens, learned positions, blocks with a gate of each head and a deviation of each of its features, and a norm.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, heads, ffnWidth }, { position }) =>
      (vocabularySize + (position === undefined ? length : 0)) * C +
      layers * (ofBlock(C, ffnWidth) + ofLinear(C, heads) + C) +
      ofNorm(C),
    golden: ["rfa"],
    source: "attention/kernel/rfa.ts",
    example: "rfa",
  },
);
