import { integers, randomKey } from "@tsformers/engine";
import { runsOf } from "../attention/core/runs.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { reformerEntry } from "../models/decoders/reformer.ts";
import { ofFfn, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const reformerSystem: SystemEntry<"reformer"> = /* @__PURE__ */ systemEntry(reformerEntry, {
  category: "learned patterns",
  causal: true,
  use: "long sequences in deep stacks with little memory: copying, looking up, language, where a position has few others that matter to it",
  sees: "the latest tokens of its own bucket, in each round of hashing; which these are, the tokens decide",
  picture: (length) => [
    { title: "one round, 8 buckets", pattern: sameBuckets(1, length) },
    { title: "four rounds", pattern: sameBuckets(4, length) },
  ],
  differs: [
    "A causal query looks at the last `chunk` tokens of its own bucket instead of at two whole chunks, in which later tokens decide what earlier ones see.",
    "Keys that are met in several rounds count as often, as in the authors' code; the paper counts them once (`lsh: { countsOnce: true }` in a program).",
    "Heads have modelWidth / heads features in the paper's preset, and rows and columns of its grid of positions half of the width each: 256 × 256 instead of 128 × 512.",
    "Optimised with AdamW and a cosine schedule in the small preset.",
    "The paper prints no number of parameters.",
  ],
  presets: {
    small: {
      about: "one layer of LSH attention that copies 511 symbols (§5), with four rounds of hashing",
      run: {
        model: {
          kind: "reformer",
          layers: 1,
          modelWidth: 64,
          heads: 2,
          ffnWidth: 128,
          attention: ["lsh"],
          rounds: 4,
          chunk: 32,
        },
        task: { kind: "copy", symbols: 16 },
        length: 1024,
        steps: 600,
        batchSize: 4,
        learningRate: 0.01,
      },
      vocabularySize: 17,
    },
    paper: {
      about:
        "enwik8, 12 layers, 65,536 positions: 1.05 bits per byte (§5); attention and chunks as in the authors' code",
      run: {
        model: {
          kind: "reformer",
          layers: 12,
          modelWidth: 1024,
          heads: 8,
          ffnWidth: 4096,
          attention: ["local", "local", "lsh", "local"],
          rounds: 2,
          chunk: 256,
          localChunk: 128,
          dropoutRate: 0.2,
        },
        length: 65_536,
        batchSize: 8,
        steps: 100_000,
      },
      vocabularySize: 258,
    },
  },
  // Tokens, rows and columns of the grid, blocks whose LSH layers have one matrix for queries and keys, a norm and an output of twice the width.
  parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }, { attention }) => {
    const columns = Math.ceil(Math.sqrt(length));
    const places = Math.ceil(length / columns) * Math.floor(C / 2) + columns * Math.ceil(C / 2);
    const kinds = attention as readonly string[];
    const matrices = Array.from({ length: layers }, (_, layer) => (kinds[layer % kinds.length] === "lsh" ? 3 : 4));
    const mixers = matrices.reduce<number>((a, b) => a + b, 0) * C * C;
    return (
      vocabularySize * C +
      places +
      mixers +
      layers * (ofFfn(C, ffnWidth) + 2 * ofNorm(C)) +
      ofNorm(2 * C) +
      2 * C * vocabularySize
    );
  },
  golden: ["lsh_attention", "reformer_local", "reformer_lsh", "reformer_lsh_bidirectional", "reformer_mixed"],
  source: "models/decoders/reformer.ts",
  example: "reformer",
});

/** What positions see that share a bucket with a query, if those of the second half are hashed as those of the first. */
function sameBuckets(rounds: number, length: number): Pattern {
  const half = length / 2;
  const buckets = integers(randomKey(0), [rounds * half], { low: 0, high: 8 }).toNumbers();
  const bucket = (position: number, round: number) => buckets[round * half + (position % half)];
  const meets = (query: number) => (key: number) =>
    Array.from({ length: rounds }, (_, round) => round).some((round) => bucket(query, round) === bucket(key, round));
  return {
    name: `the own bucket in ${rounds} rounds`,
    keys: (query) => runsOf(Array.from({ length: query }, (_, key) => key).filter(meets(query))),
  };
}
