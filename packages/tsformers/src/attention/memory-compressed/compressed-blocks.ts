import { expandDims, max, min, pad, reshape, slice, type Tensor } from "@tsformers/engine";
import type { Pattern } from "../patterns/pattern.ts";

/** What a position sees of blocks that were made one slot each. */
export type BlockRule = {
  /**
   * What stands in slot 0, which every position sees: position 0 uncompressed (causal only), or a learned key and
   * value.
   */
  readonly first: "position" | "learned";
  /** How many positions after its last a block is seen. */
  readonly delay: 0 | 1;
};

/** Slot 0 holds position 0, and a block is seen by what comes after it. */
export const strictlyPast: BlockRule = { first: "position", delay: 1 };

/** Slot 0 holds a learned key and value, and a block is seen from its own last position on. */
export const learnedFirst: BlockRule = { first: "learned", delay: 0 };

/** Of slots [first, block 0, block 1, …], those that a position sees when it may not look ahead. */
export function slotsSeen(factor: number, rule: BlockRule): Pattern {
  return {
    name: `blocks of ${factor} in the past`,
    keys: (query, slots) => [0, Math.min(slots, 1 + Math.floor((query + 1 - rule.delay) / factor))],
  };
}

/** What becomes of a last block that is not whole: its missing positions are 0, or it does not count. */
export type LastBlock = "filled" | "dropped";

/** Blocks of positions side by side: [B, S, C] → [B, N, factor·C]. */
export function blocksAsFeatures(x: Tensor, factor: number, last: LastBlock): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  const blocks = (last === "filled" ? Math.ceil : Math.floor)(length / factor);
  const missing = blocks * factor - length;
  const rows =
    missing > 0
      ? pad(x, [
          [0, 0],
          [0, missing],
          [0, 0],
        ])
      : slice(x, 1, 0, blocks * factor);
  return reshape(rows, [batch, blocks, factor * width]);
}

/** 1 for blocks that count, [B, S] → [B, N]: those with something real in them, or those that are real as a whole. */
export function realBlocks(real: Tensor, factor: number, last: LastBlock): Tensor {
  const rows = blocksAsFeatures(expandDims(real, -1), factor, last);
  return (last === "filled" ? max : min)(rows, { axes: -1 });
}
