import { adaptiveSpanTransformerEntry } from "../models/decoders/adaptive-span-transformer.ts";
import { ofAttention, ofFfn, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const adaptiveSpanTransformerSystem: SystemEntry<"adaptive-span-transformer"> = /* @__PURE__ */ systemEntry(
  adaptiveSpanTransformerEntry,
  {
    category: "memory",
    causal: true,
    use: "long contexts of characters, of which few heads need much: time follows the spans that are learned",
    sees: "the maxSpan positions before it and not itself, remembered from earlier segments; each head as far back as it has learned",
    differs: [
      "Spans are rounded up to a multiple of at most 64 positions, and of an eighth of them where they are short; the authors' code takes 64.",
      "Memories begin empty; the authors' code begins with zeros that are seen.",
      "The preset leaves Adagrad to AdamW, with a rate that suits it.",
      "Dynamic spans depend on the text, so that nothing is cut away for them: what they save is counted.",
    ],
    presets: {
      small: {
        about: "two layers of four heads that look back at most 128 positions",
        run: {
          model: {
            kind: "adaptive-span-transformer",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            maxSpan: 128,
            ramp: 8,
            startShare: 0.6,
            penalty: 1e-4,
          },
          task: { kind: "copy", symbols: 8 },
          length: 128,
          steps: 250,
          batchSize: 8,
          learningRate: 4e-3,
        },
        vocabularySize: 9,
      },
      paper: {
        about: "24 layers on enwik8, spans up to 8,192 (table 1)",
        run: {
          model: {
            kind: "adaptive-span-transformer",
            layers: 24,
            modelWidth: 768,
            heads: 8,
            ffnWidth: 4096,
            maxSpan: 8192,
            penalty: 5e-7,
            dropoutRate: 0.4,
          },
          length: 512,
          steps: 170_000,
          batchSize: 64,
          learningRate: 2.5e-4,
          clip: 0.03,
        },
        vocabularySize: 204,
        published: "209M",
      },
    },
    // Projections have no biases; the keys of distances are shared by heads and layers; input and output are tables of their own.
    parameters: ({ vocabularySize, layers, modelWidth, heads, ffnWidth }, { maxSpan = 256 }) =>
      vocabularySize * modelWidth +
      Number(maxSpan) * (modelWidth / heads) +
      layers *
        (ofAttention(modelWidth, { bias: false }) + ofFfn(modelWidth, ffnWidth) + 2 * ofNorm(modelWidth) + heads) +
      ofLinear(modelWidth, vocabularySize),
    golden: ["adaptive_span"],
    source: "models/decoders/adaptive-span-transformer.ts",
    example: "adaptive-span",
  },
);
