import { concat, reshape, split, type Tensor, transpose } from "@tsformers/engine";
import type { Plan } from "./plan.ts";

/** The keys of a sequence, cut at every place where those of a block begin or end. */
export type Cuts = {
  /** Keys in each piece, in order. */
  readonly sizes: readonly number[];
  /** The pieces of a block's keys, in order. */
  readonly of: (block: number) => readonly number[];
};

/** @param length number of keys */
export function cutsOf({ blocks }: Plan, length: number): Cuts {
  const places = [...new Set([0, length, ...blocks.flatMap(({ keys }) => keys)])].sort((a, b) => a - b);
  const at = new Map(places.map((place, i) => [place, i]));
  return {
    sizes: places.slice(1).map((to, i) => to - places[i]!),
    of: (block) => {
      const { keys } = blocks[block]!;
      const own: number[] = [];
      for (let i = 0; i < keys.length; i += 2)
        for (let piece = at.get(keys[i]!)!; piece < at.get(keys[i + 1]!)!; piece++) own.push(piece);
      return own;
    },
  };
}

/** The pieces of x [B, K, S, D], and those of a block side by side. */
export function piecesOf(x: Tensor, { sizes, of }: Cuts): (block: number) => Tensor {
  if (sizes.length === 1) return () => x;
  const pieces = split(x, sizes, 2);
  return (block) => concatenated(of(block).map((piece) => pieces[piece]!));
}

/** Concatenates parts along an axis, by default those of a sequence, [B, H, T, D] each. */
export function concatenated(parts: readonly Tensor[], axis = 2): Tensor {
  return parts.length === 1 ? parts[0]! : concat(parts, axis);
}

/** Stacked stretches of a sequence, [count, B, H, T, D] → [B, H, count·T, D]. */
export function unstacked(x: Tensor): Tensor {
  const [count, batch, heads, size, width] = x.shape as [number, number, number, number, number];
  return reshape(transpose(x, [1, 2, 0, 3, 4]), [batch, heads, count * size, width]);
}

/** An axis of x as [stretches, positions of each]. */
export function inStretches(x: Tensor, size: number, axis: number): Tensor {
  return reshape(x, [...x.shape.slice(0, axis), x.shape[axis]! / size, size, ...x.shape.slice(axis + 1)]);
}
