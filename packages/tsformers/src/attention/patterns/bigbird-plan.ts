import { bitsOf, foldIn, randomKey } from "@tsformers/engine";
import type { RandomBlocks } from "./bigbird.ts";
import { expectWhole } from "./span.ts";

export type UniformBlocksOptions = {
  /** r: random blocks per block of queries. */
  readonly random: number;
  readonly heads: number;
  readonly seed: number;
  /** Blocks that see all and are seen by all: the first and the last, or none. Default: `ends`. */
  readonly globals?: "ends" | "none";
};

/**
 * Random blocks drawn uniformly, without repetition, from those that a block does not see anyway: not itself, its neighbours or
 * the global blocks. If fewer than r are left, all of them.
 */
export function uniformBlocks({ random, heads, seed, globals = "ends" }: UniformBlocksOptions): RandomBlocks {
  expectWhole("bigbird", "random", random);
  expectWhole("bigbird", "heads", heads, 1);
  const key = randomKey(seed);
  return (blocks) =>
    Array.from({ length: heads }, (_, head) =>
      Array.from({ length: blocks }, (_, row) => {
        const isGlobal = (block: number) => globals === "ends" && (block === 0 || block === blocks - 1);
        if (isGlobal(row)) return [];
        const candidates = Array.from({ length: blocks }, (_, block) => block).filter(
          (block) => Math.abs(block - row) > 1 && !isGlobal(block),
        );
        const words = bitsOf(foldIn(foldIn(key, head), row), candidates.length);
        const shuffled = candidates.map((block, i) => ({ block, word: words[i]! })).sort((a, b) => a.word - b.word);
        return shuffled.slice(0, random).map(({ block }) => block);
      }),
    );
}

/** A fixed table: for each head and block of queries, its blocks of keys. */
export function givenBlocks(table: readonly (readonly (readonly number[])[])[]): RandomBlocks {
  return () => table;
}
