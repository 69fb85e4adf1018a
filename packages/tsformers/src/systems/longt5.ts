import { slidingWindow } from "../attention/patterns/window.ts";
import { longT5Entry } from "../models/encoder-decoders/longt5.ts";
import { ofAttention } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

/** Buckets of distances that biases tell apart. */
const buckets = 32;

export const longT5System: SystemEntry<"longt5"> = /* @__PURE__ */ systemEntry(longT5Entry, {
  category: "long inputs",
  causal: true,
  use: "writing something about a long text: a summary, or an answer to a question about it",
  sees: "a position of the source sees its neighbours, drawn here, and a token for each block of 16 positions, as many as there are; the target sees all of the source and what it has written",
  picture: (length) => [
    {
      title: "the source, beside its blocks",
      pattern: slidingWindow({ before: Math.ceil(length / 16), after: Math.ceil(length / 16) }),
    },
  ],
  differs: [
    "The paper says that LongT5 has as many parameters as T5 v1.1 of the same size, and prints no numbers; those of the released base model are counted.",
    "Not pre-trained: the principle sentences generation of the paper (hidden sentences are written) is left out.",
    "Optimised with AdamW and a cosine schedule in the small preset, instead of Adafactor.",
  ],
  presets: {
    small: {
      about: "two layers of 64 on each side, radius 8, blocks of 8, sources of 256",
      run: {
        model: { kind: "longt5", layers: 2, modelWidth: 64, heads: 4, ffnWidth: 128, radius: 8, block: 8 },
        task: { kind: "copy" },
        length: 256,
        steps: 300,
        batchSize: 8,
        learningRate: 3e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "base with transient-global attention: 12 layers of 768 on each side, radius 127, blocks of 16",
      run: {
        model: {
          kind: "longt5",
          layers: 12,
          modelWidth: 768,
          heads: 12,
          ffnWidth: 2048,
          radius: 127,
          block: 16,
          dropoutRate: 0.1,
        },
        length: 4096,
      },
      vocabularySize: 32_128,
    },
  },
  // Tokens, two tables of biases and a third for blocks, a gated network of three matrices in each block, a norm before each part; nothing has a bias.
  parameters: ({ vocabularySize, layers, modelWidth: C, heads, ffnWidth }, { attention }) => {
    const [mix, ffn] = [ofAttention(C, { bias: false }), 3 * C * ffnWidth];
    const isLocal = attention === "local";
    const encoder = layers * (mix + ffn + (isLocal ? 2 : 3) * C) + C;
    const decoder = layers * (2 * mix + ffn + 3 * C) + C;
    return 2 * vocabularySize * C + (isLocal ? 2 : 3) * buckets * heads + encoder + decoder;
  },
  golden: ["longt5_local", "longt5_tglobal"],
  source: "models/encoder-decoders/longt5.ts",
  example: "longt5",
});
