import { etcEntry } from "../models/encoders/etc.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const etcSystem: SystemEntry<"etc"> = /* @__PURE__ */ systemEntry(etcEntry, {
  category: "long inputs",
  causal: false,
  use: "long inputs with a structure, such as documents of paragraphs or pages of sentences: what a part is about is known all over it, and to the other parts",
  sees: "global tokens, in front, see each other and all tokens (with the hard mask, those of their segment); tokens see their neighbours and all global tokens",
  differs: [
    "Both inputs share their projections and feed-forward networks, as in the runs of the paper that begin with BERT's weights; a base model with its own for either input has more parameters than are counted here.",
    "A global token stands for each segment; the paper has further ones, of questions or whole documents, which can be told as segments of their own.",
    "Which segments there are is told by a separator, by the input, or they are stretches of equal length.",
    "Pre-training (`--objective contrastive`) compares states by a scaled product, with as many hidden segments in each row, and predicts hidden tokens inside hidden segments, too.",
    "Optimised with AdamW and a cosine schedule in the small preset, instead of LAMB.",
  ],
  presets: {
    small: {
      about: "two layers, eight global tokens, hidden characters of text and hidden stretches of 32",
      run: {
        model: {
          kind: "etc",
          layers: 2,
          modelWidth: 64,
          heads: 4,
          ffnWidth: 128,
          globals: 8,
          radius: 8,
          initializerRange: 0.06,
        },
        task: { kind: "text" },
        objective: { kind: "contrastive" },
        length: 256,
        steps: 400,
        batchSize: 8,
        learningRate: 3e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "base: BERT's sizes, 4,096 tokens, 230 global ones, r = 84, k = 12 (§4)",
      run: {
        model: {
          kind: "etc",
          layers: 12,
          modelWidth: 768,
          heads: 12,
          globals: 230,
          radius: 84,
          furthestLabel: 12,
          dropoutRate: 0.1,
        },
        objective: { kind: "contrastive" },
        length: 4096,
      },
      vocabularySize: 30_522,
    },
  },
  // Tokens and a norm, a global token, blocks with labels, the output layers of BERT.
  parameters: ({ vocabularySize, layers, modelWidth: C, heads, ffnWidth }, { furthestLabel = 12 }) => {
    const labels = (2 * Number(furthestLabel) + 4) * (C + heads);
    const output = ofLinear(C, C) + ofNorm(C) + vocabularySize;
    return vocabularySize * C + ofNorm(C) + C + layers * (ofBlock(C, ffnWidth) + labels) + output;
  },
  golden: ["etc_global_local"],
  source: "models/encoders/etc.ts",
  example: "etc",
});
