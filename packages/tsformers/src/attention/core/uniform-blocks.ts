import {
  add,
  broadcastTo,
  cast,
  concat,
  constant,
  greater,
  matmul,
  max,
  mul,
  pad,
  recomputeEach,
  reshape,
  split,
  type Tensor,
  where,
} from "@tsformers/engine";
import { type Plan, partsOfKeys, type QueryBlock } from "./plan.ts";
import { hidden, type Mixed } from "./query-block.ts";
import { rearrange } from "./rearrange.ts";
import { softmaxPart, softmaxValues } from "./softmax-values.ts";

/** Blocks of one size, each with keys that no other block has: rows and columns of a grid, residues of a stride. */
export type UniformBlocks = {
  readonly count: number;
  /** Which of `count` equal parts of the keys each block has. Absent: the one at its own place. */
  readonly parts?: Int32Array;
  readonly block: QueryBlock;
};

/** A plan as uniform blocks; undefined where its blocks differ in size or mask, or share keys. */
export function uniformBlocks({ blocks }: Plan, queries: number, keys: number): UniformBlocks | undefined {
  const parts = partsOfKeys(blocks, queries, keys);
  const block = blocks[0]!;
  const isMaskedAlike = ({ partial }: QueryBlock) =>
    partial?.visible === block.partial?.visible && partial?.columns[0] === block.partial?.columns[0];
  if (parts === undefined || !blocks.every(isMaskedAlike)) return undefined;
  return { count: blocks.length, block, ...(parts.some((part, i) => part !== i) && { parts }) };
}

/**
 * Attention of uniform blocks, computed as if each were a head of its own: a few products for all of them.
 *
 * @shape q [B, H, T, D], key and value [B, H, S, ·], in the order of the plan → mixed [B, H, T, ·], sums [B, H, T, 1] if `withSums`
 */
export function attendUniformBlocks(
  { count, parts, block }: UniformBlocks,
  input: {
    readonly q: Tensor;
    readonly key: Tensor;
    readonly value: Tensor;
    /** 1 for real keys, 0 for padding, [B, S]. */
    readonly keyMask?: Tensor;
    readonly scale: number;
    readonly withSums: boolean;
    /** Absent: the weights are kept for the gradient. Otherwise so many pairs at a time are recomputed, at least one block. */
    readonly pairsAtOnce?: number;
  },
): Mixed {
  const { q, key, value, keyMask, scale, withSums, pairsAtOnce } = input;
  const [batch, heads, queries] = q.shape as [number, number, number, number];
  const asHeads = (x: Tensor) => reshape(x, [batch, heads * count, -1, x.shape.at(-1)!]);
  const inOrder = (x: Tensor, axis: number) => (parts === undefined ? x : rearrange(x, parts, axis));
  const keysOf = (x: Tensor) => asHeads(inOrder(reshape(x, [batch, heads, count, -1, x.shape.at(-1)!]), 2));
  const hiding = hidingOf(block);
  const padding = () => {
    const real = inOrder(reshape(cast(keyMask!, "bool"), [batch, 1, count, 1, -1]), 2);
    const each = where(real, 0, hidden);
    return reshape(broadcastTo(each, [batch, heads, ...each.shape.slice(2)]), [batch, heads * count, 1, -1]);
  };
  const masks = keyMask === undefined ? [] : [padding()];
  const attendSome = (q: Tensor, key: Tensor, value: Tensor, mask?: Tensor): Mixed => {
    const product = matmul(q, key, { transposeB: true, scale });
    const added = hiding === undefined || mask === undefined ? (hiding ?? mask) : add(hiding, mask);
    const logits = added === undefined ? product : add(product, added);
    const out = withSums ? softmaxPart(logits, value) : { mixed: softmaxValues(logits, value) };
    if (added === undefined || !(block.blind || mask !== undefined)) return out;
    const sighted = cast(greater(max(added, { axes: -1, keepDims: true }), hidden / 2), "float32");
    return { ...out, mixed: mul(out.mixed, sighted) };
  };
  const all = [asHeads(q), keysOf(key), keysOf(value), ...masks] as [Tensor, Tensor, Tensor, Tensor?];
  const back = ({ mixed, sums }: Mixed): Mixed => {
    const together = (x: Tensor) => reshape(x, [batch, heads, queries, x.shape.at(-1)!]);
    return { mixed: together(mixed), ...(sums !== undefined && { sums: together(sums) }) };
  };
  if (pairsAtOnce === undefined) return back(attendSome(...all));
  const pairs = (queries / count) * (key.shape[2]! / count);
  const atOnce = Math.max(1, Math.min(heads * count, Math.floor((pairsAtOnce * heads) / pairs)));
  const sizes = Array.from({ length: Math.ceil((heads * count) / atOnce) }, (_, i) =>
    Math.min(atOnce, heads * count - i * atOnce),
  );
  const [queriesOf, ...others] = (all.filter((x) => x !== undefined) as Tensor[]).map((x) => split(x, sizes, 1));
  const results = recomputeEach(
    queriesOf!.map((x, i) => ({
      x,
      fn: (x: Tensor) => {
        const { mixed, sums } = attendSome(x, ...(others.map((of) => of[i]!) as [Tensor, Tensor, Tensor?]));
        return sums === undefined ? [mixed] : [mixed, sums];
      },
    })),
  );
  const joined = (of: number) =>
    concat(
      results.map((result) => result[of]!),
      1,
    );
  return back({ mixed: joined(0), ...(withSums && { sums: joined(1) }) });
}

/** Added to the logits of every block, [T, S]; undefined where all of them are visible. */
function hidingOf({ partial, keys }: QueryBlock): Tensor | undefined {
  if (partial === undefined) return undefined;
  const [low, high] = partial.columns;
  return pad(where(constant(partial.visible), 0, hidden), [
    [0, 0],
    [low, keys[1]! - keys[0]! - high],
  ]);
}
