import type { Pattern } from "../kinds/index.ts";
import { memorizingTransformerEntry } from "../models/decoders/memorizing-transformer.ts";
import { ofAttention, ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

/** Segments of the picture. */
const segment = 8;

export const memorizingTransformerSystem: SystemEntry<"memorizing-transformer"> = /* @__PURE__ */ systemEntry(
  memorizingTransformerEntry,
  {
    category: "memory",
    causal: true,
    use: "long documents in which what was said once is needed again: names, definitions, lemmas, functions",
    sees: "the earlier positions of its segment and memoryLength before it; one layer also the k of the last memoryEntries positions whose keys are most like its query, wherever they are",
    picture: () => [
      { title: "near, in every layer", pattern: seen("segment and memory", 4, true) },
      {
        title: "among these, k in one layer",
        pattern: seen("positions before the segment", Number.MAX_SAFE_INTEGER, false),
      },
    ],
    differs: [
      "The search is exact, part by part; the paper also has an approximate one.",
      "A query whose memory is empty has its local attention alone.",
      "While it writes, a position enters the memory when local attention no longer sees it; in training, after its segment.",
      "Layers without the memory keep their inputs instead of keys and values, and their queries and keys are not normalised.",
      "One table of position biases for all layers, logits by the token embedding; the paper gives no exact number of parameters.",
    ],
    presets: {
      small: {
        about:
          "two layers over characters, segments and memory of 32, of which the upper one looks up 4 of 1,024 positions",
        run: {
          model: {
            kind: "memorizing-transformer",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            memoryLength: 32,
            memoryEntries: 1024,
            memoryNeighbours: 4,
            memoryScale: 8,
          },
          task: { kind: "text" },
          length: 32,
          steps: 400,
          batchSize: 32,
          learningRate: 5e-3,
        },
        vocabularySize: 64,
      },
      paper: {
        about: "12 layers, of which the 9th looks up 32 of 8,192 positions (§4)",
        run: {
          model: {
            kind: "memorizing-transformer",
            layers: 12,
            modelWidth: 1024,
            heads: 8,
            ffnWidth: 4096,
            memoryLength: 512,
            memoryEntries: 8192,
            memoryNeighbours: 32,
          },
          length: 512,
          batchSize: 32,
        },
        vocabularySize: 32_000,
      },
    },
    // Projections without biases; T5's 32 distances of each head; a scale and a gate of each head in one layer.
    parameters: ({ vocabularySize, layers, modelWidth, heads, ffnWidth }) =>
      vocabularySize * modelWidth +
      32 * heads +
      layers * (ofAttention(modelWidth, { bias: false }) + ofFfn(modelWidth, ffnWidth) + 2 * ofNorm(modelWidth)) +
      ofNorm(modelWidth) +
      2 * heads,
    golden: ["memorizing"],
    source: "models/decoders/memorizing-transformer.ts",
    example: "memorizing-transformer",
  },
);

/** The positions from `far` before the segment of a query, and those of the segment itself or not. */
function seen(name: string, far: number, own: boolean): Pattern {
  return {
    name,
    keys: (query) => {
      const start = query - (query % segment);
      const [from, to] = [Math.max(start - far, 0), own ? query + 1 : start];
      return to > from ? [from, to] : [];
    },
  };
}
