import { integers, randomKey } from "@tsformers/engine";
import { runsOf } from "../attention/core/runs.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { routingEntry } from "../attention/routing/routing.ts";
import type { Choice } from "../run/catalogue.ts";
import { ofFfn, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const routingTransformerSystem: SystemEntry<"routing-transformer"> = /* @__PURE__ */ systemEntry(
  {
    ...routingEntry,
    name: "routing-transformer",
    title: "Routing Transformer",
    summary: "a Transformer whose tokens look at tokens of their own cluster, found by k-means as it trains",
  },
  {
    category: "learned patterns",
    causal: true,
    use: "long sequences in which content says what matters: looking up by keys, language and pictures beside local heads",
    sees: "the latest tokens of its own cluster, in each head; which these are, the tokens and running centroids decide",
    picture: () => [
      { title: "own cluster, 8 of them", pattern: ownCluster(8) },
      {
        title: "local heads, chunks of 8",
        pattern: { name: "chunks of 8", keys: (query) => chunkAndBefore(query, 8) },
      },
    ],
    differs: [
      "A causal token belongs to its nearest centroid and looks at the last `window` members. Published, each centroid takes its nearest tokens (`members: balanced`), in which later tokens decide what earlier ones see.",
      "The small preset takes the logit of a token with itself away where it sees others (`selfLogit`), as Reformer does. Published, it stays: queries are keys of one length, so it is the largest of all, √d times the deviation of the others, and what the others hold is learned later.",
      "Half of the heads are local in the paper's preset. The small preset has a short convolution in its first layer instead.",
      "The blocks are GPT-2's; the paper's preset has a network without a gate that has as many parameters, and rotary positions instead of learned relative ones.",
      "Optimised with AdamW and a cosine schedule, centroids with a decay of 0.99 in the small preset.",
      "No published number of parameters was at hand to compare with.",
    ],
    presets: {
      small: {
        about: "a short convolution and a layer of routing attention that look up values by their keys",
        run: {
          model: {
            kind: "gpt",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.1,
            position: { kind: "none" },
            mixer: [
              { kind: "short-convolution", width: 3 },
              { kind: "routing", centroids: 8, window: 24, decay: 0.99, selfLogit: -1e4 },
            ],
          },
          task: { kind: "recall", keys: 16, values: 16 },
          length: 96,
          steps: 600,
          batchSize: 16,
          learningRate: 5e-3,
        },
        vocabularySize: 34,
      },
      paper: {
        about: "enwik8, 12 layers, 8,192 positions: 0.99 bits per byte; heads and clusters as in the authors' code",
        run: {
          model: {
            kind: "gpt",
            layers: 12,
            modelWidth: 1024,
            heads: 8,
            ffnWidth: 4608,
            position: { kind: "rotary" },
            mixer: { kind: "routing", localHeads: 4, localChunk: 256, centroids: 16, window: 512 },
          },
          length: 8192,
        },
        vocabularySize: 256,
      },
    },
    // GPT-2's without positions; a mixer for each layer.
    parameters: ({ vocabularySize, layers, modelWidth: C, heads, ffnWidth }, { mixer }) => {
      const one = mixer as Choice | readonly Choice[];
      const mixers = "kind" in one ? new Array<Choice>(layers).fill(one) : one;
      const ofMixers = mixers.reduce((all, own) => all + ofMixer(own, C, heads), 0);
      return vocabularySize * C + ofMixers + layers * (ofFfn(C, ffnWidth) + 2 * ofNorm(C)) + ofNorm(C);
    },
    golden: ["routing"],
    source: "attention/routing/routing.ts",
    example: "routing-transformer",
  },
);

/** Queries of routing heads are their keys, so they have three matrices, and local heads four. */
function ofMixer({ kind, width, localHeads = 0 }: Choice, modelWidth: number, heads: number): number {
  if (kind === "short-convolution") return ofLinear(modelWidth, modelWidth) + (Number(width) + 1) * modelWidth;
  const ofHeads = (count: number, matrices: number): number => {
    const inHeads = (modelWidth / heads) * count;
    return count && matrices * ofLinear(modelWidth, inHeads) + ofLinear(inHeads, modelWidth);
  };
  return ofHeads(Number(localHeads), 3) + ofHeads(heads - Number(localHeads), 2);
}

/** What positions see whose clusters are drawn at random. */
function ownCluster(clusters: number): Pattern {
  const drawn = integers(randomKey(0), [1024], { low: 0, high: clusters }).toNumbers();
  const cluster = (position: number) => drawn[position % drawn.length];
  return {
    name: `the own of ${clusters} clusters`,
    keys: (query) =>
      runsOf(Array.from({ length: query + 1 }, (_, key) => key).filter((key) => cluster(key) === cluster(query))),
  };
}

function chunkAndBefore(query: number, chunk: number): [number, number] {
  return [Math.max(0, query - (query % chunk) - chunk), query + 1];
}
