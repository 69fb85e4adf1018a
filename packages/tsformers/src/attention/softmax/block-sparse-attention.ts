import { add, constant, div, fromNumbers, gather, iota, type NDArray, type Tensor } from "@tsformers/engine";
import type { Positions, Score, SoftmaxMixer, View } from "../../kinds/index.ts";
import { ofHeads } from "../core/by-distance.ts";
import { prepareScores } from "../core/executor.ts";
import { listedBlocks, type RandomBlocks } from "../patterns/bigbird-plan.ts";
import { type AttentionOptions, type AttentionParams, attention } from "./attention.ts";

export type BlockSparseAttentionOptions = AttentionOptions & {
  /** Positions in a block; the last one may be shorter. */
  readonly block: number;
  readonly random: RandomBlocks;
};

/**
 * Softmax attention under the pattern {@link bigbird} as the released code computes it: the softmax goes over a list of blocks of keys, in
 * which one stands twice if it is drawn twice, or is drawn and seen anyway.
 *
 * `logits[h,t,s] += log count(block of s)` in the list of the block of t: `{0, i − 1, i, i + 1, last}`, then random(i).
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   that of the pattern; where no block stands twice, nothing is added
 * @source the code released with Zaheer et al. 2020, "Big Bird: Transformers for Longer Sequences", arXiv:2007.14062
 */
export function blockSparseAttention(options: BlockSparseAttentionOptions): SoftmaxMixer<AttentionParams> {
  const { block, random, heads } = options;
  // Under this pattern no position is decoded before those behind it.
  const { recurrent: _, ...mixer } = attention(options);
  const known = new Map<number, NDArray | undefined>();
  const repeatsIn = (blocks: number): NDArray | undefined => {
    if (!known.has(blocks)) known.set(blocks, repeats(random, blocks, heads));
    return known.get(blocks);
  };
  return {
    ...mixer,
    name: "block-sparse attention",
    apply: (params, input, context) => {
      const found = repeatsIn(Math.ceil(input.view.keys / block));
      if (found === undefined) return mixer.apply(params, input, context);
      return mixer.apply(params, { ...input, view: counting(input.view, found, block) }, context);
    },
  };
}

/** The view with counts added to its logits; blocks are of places in the sequence, whatever positions say. */
function counting(view: View, repeats: NDArray, block: number): View {
  if (view.scores !== undefined) throw new TypeError("blockSparseAttention: not with a score modification");
  const { queries, keys } = view;
  const lines = { query: 0, keys: [{ from: 0, length: keys }] };
  const scores = (positions: Positions): Score => {
    const rows = gather(ofHeads(constant(repeats), positions), blockOf(positions.query, block), 1);
    const added = gather(rows, blockOf(positions.key, block), 2);
    return { logits: (logits) => add(logits, added) };
  };
  const counted: View = { ...view, positions: { query: iota(queries), key: iota(keys), lines }, scores };
  return { ...counted, prepared: prepareScores(counted) };
}

function blockOf(positions: Tensor, block: number): Tensor {
  return div(positions, block);
}

/** Logarithms of how often each block stands in each list, [H, blocks, blocks]. Undefined where none stands twice. */
function repeats(random: RandomBlocks, blocks: number, heads: number): NDArray | undefined {
  const drawn = random(blocks);
  const lists = drawn.map((rows) =>
    Array.from({ length: blocks }, (_, row) => listedBlocks(row, blocks, rows[row] ?? [])),
  );
  if (lists.every((rows) => rows.every((list) => new Set(list).size === list.length))) return undefined;
  const counts = Array.from({ length: heads }, (_, head) =>
    lists[head % lists.length]!.map((list) => {
      const row = new Array<number>(blocks).fill(0);
      for (const one of list) row[one]!++;
      return row.map((count) => Math.log(Math.max(count, 1)));
    }),
  );
  return fromNumbers(counts.flat(2), [heads, blocks, blocks]);
}
