import { longformer } from "../attention/patterns/longformer.ts";
import { causal } from "../attention/patterns/pattern.ts";
import { ledEntry } from "../models/encoder-decoders/led.ts";
import { ofAttention, ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const ledSystem: SystemEntry<"led"> = /* @__PURE__ */ systemEntry(ledEntry, {
  category: "long inputs",
  causal: true,
  use: "writing from a long document, such as its summary or the answer to a question, starting from a dense encoder-decoder of a shorter length",
  sees: "in the source half a window on each side and the first token, which sees everything; in the target every earlier position and the whole source",
  picture: () => [
    { title: "source", pattern: longformer({ window: 16, globals: [0], causal: false }) },
    { title: "target", pattern: causal },
  ],
  differs: [
    "Sources of any length are computed as they are, not padded to whole windows.",
    "The preset begins at random; `--from` makes it of a run of the same model with shorter rows, whose window covers them: positions are tiled.",
    "By the command, tables of positions have one length for source and target; in the paper they are 16,384 and 1,024.",
    "The paper prints no number of parameters.",
  ],
  presets: {
    small: {
      about: "two layers with windows of 16, which write what a passage of 119 tokens says",
      run: {
        model: { kind: "led", layers: 2, modelWidth: 64, heads: 4, window: 16, initializerRange: 0.1 },
        task: { kind: "questions", words: 32, facts: 1 },
        length: 128,
        steps: 300,
        batchSize: 16,
        learningRate: 1e-3,
      },
      vocabularySize: 42,
    },
    paper: {
      about: "LED-large, of BART-large, sources of 16,384 tokens with windows of 1,024 (§7)",
      run: {
        model: { kind: "led", layers: 12, modelWidth: 1024, heads: 16, window: 1024, dropoutRate: 0.1 },
        length: 16_384,
      },
      vocabularySize: 50_265,
    },
  },
  // One matrix of tokens and two tables of positions, each side normalised; blocks of the encoder with projections of global tokens, blocks of the
  // decoder with attention to the source.
  parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }) =>
    (vocabularySize + 2 * length) * C +
    2 * ofNorm(C) +
    layers * (2 * ofBlock(C, ffnWidth) + 3 * ofLinear(C, C) + ofAttention(C) + ofNorm(C)),
  golden: ["led"],
  source: "models/encoder-decoders/led.ts",
  example: "led",
});
