import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { givenBlocks, listedBlocks, type RandomBlocks, uniformBlocks } from "./bigbird-plan.ts";
import { releasedBlocks } from "./bigbird-released-plan.ts";
import { perHead } from "./combine.ts";
import type { Pattern, Runs } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { eachLayer } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";

export type BigBirdOptions = {
  /** Positions in a block; the last one may be shorter. */
  readonly block: number;
  /** {@link uniformBlocks}, {@link releasedBlocks}, or {@link givenBlocks}. */
  readonly random: RandomBlocks;
  /** How many heads have random blocks of their own; further heads repeat them. */
  readonly heads: number;
};

/**
 * BigBird, internal transformer construction: the first and the last block are global, every block sees itself and its
 * neighbours, and a few random ones.
 *
 * Block i sees blocks `{0, i − 1, i, i + 1, last} ∪ random(i)`; blocks 0 and last see all. Bidirectional only.
 *
 * @cost   O(n·b·(5 + r)) pairs
 * @source Zaheer et al. 2020, "Big Bird: Transformers for Longer Sequences", §2 and appendix D, arXiv:2007.14062
 * @differs a key is seen or not; the released code counts a block twice if it is drawn twice or is drawn and seen anyway, as
 *   {@link blockSparseAttention} does
 */
export function bigbird({ block, random, heads }: BigBirdOptions): Pattern {
  expectWhole("bigbird", "block", block, 1);
  return perRandomHead(heads, random, `BigBird (blocks of ${block})`, (head, randomOf) => {
    const rows = rowsOf((length) => {
      const blocks = Math.ceil(length / block);
      const drawn = randomOf(blocks, head);
      return Array.from({ length: blocks }, (_, row) => {
        if (row === 0 || row === blocks - 1) return [0, length];
        return blockRuns(listedBlocks(row, blocks, drawn[row] ?? []), block, 0, length);
      });
    });
    return (query, length) => rows(length)[Math.floor(query / block)] ?? [];
  });
}

/**
 * BigBird, extended transformer construction: g global tokens in front of the sequence; behind them every block sees itself, its
 * neighbours and a few random ones.
 *
 * `S_i = everything for i < g`, otherwise `G ∪ blocks {b − 1, b, b + 1} ∪ random(b)` with b the block of position i − g.
 *
 * @cost   O(n·(2·g + b·(3 + r))) pairs
 * @source Zaheer et al. 2020, §2, arXiv:2007.14062
 */
export function bigbirdExtended({
  globals,
  block,
  random,
  heads,
}: BigBirdOptions & { readonly globals: number }): Pattern {
  expectWhole("bigbird", "block", block, 1);
  expectWhole("bigbird", "globals", globals);
  const name = `BigBird (${globals} extra global, blocks of ${block})`;
  return perRandomHead(heads, random, name, (head, randomOf) => {
    const rows = rowsOf((length) => {
      const blocks = Math.max(0, Math.ceil((length - globals) / block));
      const drawn = randomOf(blocks, head);
      return Array.from({ length: blocks }, (_, row) =>
        blockRuns([row - 1, row, row + 1, ...(drawn[row] ?? [])], block, globals, length),
      );
    });
    return (query, length) =>
      query < globals ? [0, length] : (rows(length)[Math.floor((query - globals) / block)] ?? []);
  });
}

type Drawn = readonly (readonly number[])[];

function perRandomHead(
  heads: number,
  random: RandomBlocks,
  name: string,
  keysOf: (head: number, randomOf: (blocks: number, head: number) => Drawn) => Pattern["keys"],
): Pattern {
  expectWhole("bigbird", "heads", heads, 1);
  const known = new Map<number, readonly Drawn[]>();
  const randomOf = (blocks: number, head: number): Drawn => {
    const drawn = known.get(blocks) ?? random(blocks);
    known.set(blocks, drawn);
    return drawn.length === 0 ? [] : drawn[head % drawn.length]!;
  };
  const patterns = Array.from({ length: heads }, (_, head) => ({ name, keys: keysOf(head, randomOf) }));
  return heads === 1 ? patterns[0]! : { ...perHead(patterns), name };
}

/** Caches the rows of a length: all queries of a block see the same keys. */
function rowsOf(make: (length: number) => readonly Runs[]): (length: number) => readonly Runs[] {
  const known = new Map<number, readonly Runs[]>();
  return (length) => {
    const rows = known.get(length) ?? make(length);
    known.set(length, rows);
    return rows;
  };
}

/** Positions of blocks that begin after the first `start` positions, which are visible too. */
function blockRuns(blocks: readonly number[], size: number, start: number, length: number): Runs {
  const runs: number[] = [];
  addSpan(runs, 0, Math.min(start, length));
  const inside = blocks.filter((block) => block >= 0 && start + block * size < length);
  for (const block of [...new Set(inside)].sort((a, b) => a - b)) {
    addSpan(runs, start + block * size, Math.min(length, start + (block + 1) * size));
  }
  return runs;
}

export type BigBirdSettings = {
  readonly block?: number;
  readonly random?: number;
  readonly globals?: number;
  readonly plan?: "uniform" | "released";
  readonly seed?: number;
  readonly blocks?: readonly (readonly (readonly number[])[])[];
};

export const bigbirdEntry: PatternEntry<"bigbird", BigBirdSettings> = /* @__PURE__ */ patternEntry({
  name: "bigbird",
  title: "BigBird's pattern",
  year: 2020,
  paper: "Zaheer et al. 2020, Big Bird: Transformers for Longer Sequences, arXiv:2007.14062",
  summary: "blocks see themselves, their neighbours, random blocks, and the first and last, which see all",
  formula: "block i sees {0, i − 1, i, i + 1, last} ∪ random(i)",
  cost: "n·b·(5 + r) pairs",
  exponent: 1,
  directions: ["bidirectional"],
  options: () =>
    z.strictObject({
      block: positionCount()
        .optional()
        .describe("positions in a block. Default: a sixteenth of the length, at most 64"),
      random: positionCount(0).default(3).describe("r, random blocks for each block"),
      globals: positionCount(0)
        .optional()
        .describe(
          "global tokens in front, instead of the first and the last block (ETC variant). Default: the first and the last block",
        ),
      plan: z
        .enum(["uniform", "released"])
        .default("uniform")
        .describe("drawn evenly from all blocks, or as in the published models: from the first ones only"),
      seed: positionCount(0).default(0).describe("layer n draws with seed + n"),
      blocks: z
        .array(z.array(z.array(positionCount(0))))
        .optional()
        .describe("the random blocks themselves: for each head, for each block, its blocks. Default: they are drawn"),
    }),
  make: ({ random, globals, plan, seed, blocks: given, ...rest }, { length, heads }) => {
    const { block = Math.max(1, Math.min(64, Math.round(length / 16))) } = rest;
    if (plan === "released" && globals !== undefined) {
      throw new RangeError('bigbird: plan "released" is one of the first and last block; leave globals away');
    }
    const shared = { block, heads };
    return eachLayer((layer) => {
      const drawn = { random, heads, seed: seed + layer };
      if (given !== undefined || plan === "uniform") {
        const ends = globals === undefined ? "ends" : "none";
        const blocks = given === undefined ? uniformBlocks({ ...drawn, globals: ends }) : givenBlocks(given);
        if (globals !== undefined) return bigbirdExtended({ ...shared, globals, random: blocks });
        return bigbird({ ...shared, random: blocks });
      }
      return bigbird({ ...shared, random: releasedBlocks({ ...drawn, block, maxLength: Math.max(4096, length) }) });
    });
  },
});
