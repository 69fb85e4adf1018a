import type { Pattern } from "../kinds/index.ts";
import { compressiveTransformerEntry } from "../models/decoders/compressive-transformer.ts";
import { ofAttention, ofFfn, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

const small = { segment: 8, memoryLength: 8, compressedLength: 16, compressionRate: 4 };

export const compressiveTransformerSystem: SystemEntry<"compressive-transformer"> = /* @__PURE__ */ systemEntry(
  compressiveTransformerEntry,
  {
    category: "memory",
    causal: true,
    use: "books and other long texts: for the attention of a Transformer-XL it reaches several times as far back, with less detail",
    sees: "its segment so far, the memoryLength positions before it as they were, and compressionRate · compressedLength more in compressed form; through N layers N times as far",
    picture: () => [
      { title: "as they were", pattern: seen("segment and memory", small.memoryLength, 0) },
      {
        title: "compressed",
        pattern: seen("compressed memory", reach(small), small.memoryLength),
      },
    ],
    differs: [
      "The losses of compressions are means of squares, where the paper has norms; the dilations and initial weights of convolutions are our choice.",
      "Most used is measured by the attention of the segment that pushes positions out, averaged over heads and queries.",
      "One table of tokens, where the paper's WikiText-103 model has adaptive inputs; no gradients through several segments, which the paper found to be worse.",
      "Decoding reads in segments as long as the memory.",
      "At sizes that train within minutes it is not shown to be better, beyond chance, than a Transformer-XL on novels: perplexity per word 49.17 against 49.44 with as many memories, means of six seeds of which four are better; other settings gave no difference (decision record 0012).",
      "The number of parameters is compared with no published one: widths and heads of the paper's preset are those of Transformer-XL with 24 layers, on which it builds.",
    ],
    presets: {
      small: {
        about: "two layers, segments and memory of 8, 16 compressed vectors for 64 positions more",
        run: {
          model: {
            kind: "compressive-transformer",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            memoryLength: small.memoryLength,
            compressedLength: small.compressedLength,
            compressionRate: small.compressionRate,
          },
          task: { kind: "text" },
          length: small.segment,
          steps: 1000,
          batchSize: 64,
          learningRate: 3e-3,
        },
        vocabularySize: 64,
      },
      paper: {
        about: "24 layers on enwik8, segments and memory of 768, 1,152 compressed vectors for 3,456 positions more",
        run: {
          model: {
            kind: "compressive-transformer",
            layers: 24,
            modelWidth: 1024,
            heads: 8,
            ffnWidth: 3072,
            memoryLength: 768,
            compressedLength: 1152,
            compressionRate: 3,
          },
          length: 768,
          schedule: { kind: "cosine" },
          learningRate: 3e-4,
          clip: 0.1,
        },
        vocabularySize: 204,
      },
    },
    // Those of Transformer-XL, and a convolution in each layer.
    parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }, model) =>
      vocabularySize * (modelWidth + 1) +
      2 * modelWidth +
      layers *
        (ofAttention(modelWidth, { bias: false }) +
          modelWidth ** 2 +
          ofFfn(modelWidth, ffnWidth) +
          2 * ofNorm(modelWidth) +
          ofLinear((model as { readonly compressionRate?: number }).compressionRate! * modelWidth, modelWidth)),
    golden: ["compressive"],
    source: "models/decoders/compressive-transformer.ts",
    example: "compressive-transformer",
  },
);

function reach({ memoryLength, compressedLength, compressionRate }: typeof small): number {
  return memoryLength + compressionRate * compressedLength;
}

/** The positions from `far` to `near` before the segment of a query, and those of the segment itself where they are next to it. */
function seen(name: string, far: number, near: number): Pattern {
  return {
    name,
    keys: (query) => {
      const start = query - (query % small.segment);
      const [from, to] = [Math.max(start - far, 0), near === 0 ? query + 1 : Math.max(start - near, 0)];
      return to > from ? [from, to] : [];
    },
  };
}
