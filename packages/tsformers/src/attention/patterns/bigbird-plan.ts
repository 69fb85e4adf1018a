import { bitsOf, foldIn, randomKey } from "@tsformers/engine";
import { expectWhole } from "./span.ts";

/**
 * The random blocks for a sequence of `blocks` blocks: for each head and block of queries, its blocks of keys. With more heads than
 * entries they repeat. Blocks that are visible anyway may be among them; a pattern shows them once.
 */
export type RandomBlocks = (blocks: number) => readonly (readonly (readonly number[])[])[];

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

/**
 * The blocks of keys that a block of queries sees: all for the first and the last, otherwise the first, its neighbours and itself, the
 * last, and then those that are drawn for it, whether they are among the others or not.
 */
export function listedBlocks(row: number, blocks: number, drawn: readonly number[]): readonly number[] {
  if (row === 0 || row === blocks - 1) return Array.from({ length: blocks }, (_, block) => block);
  return [...new Set([0, row - 1, row, row + 1, blocks - 1]), ...drawn.filter((block) => block < blocks)];
}
