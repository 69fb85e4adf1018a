import { expandDims, max, min, pad, reshape, slice, type Tensor } from "@tsformers/engine";
import type { Pattern } from "../patterns/pattern.ts";

/** Which compressed blocks, each one slot, a position sees. */
export type BlockRule = {
  /**
   * The content of slot 0, which every position sees: position 0 uncompressed (causal only), or a learned key and
   * value.
   */
  readonly first: "position" | "learned";
  /** How many positions after its last one a block becomes visible. */
  readonly delay: 0 | 1;
};

/** Slot 0 holds position 0, and a block is seen by the positions after it. */
export const strictlyPast: BlockRule = { first: "position", delay: 1 };

/** Slot 0 holds a learned key and value, and a block is seen from its own last position on. */
export const learnedFirst: BlockRule = { first: "learned", delay: 0 };

/** The slots among [first, block 0, block 1, …] that a position sees in the causal form. */
export function slotsSeen(factor: number, rule: BlockRule): Pattern {
  return {
    name: `blocks of ${factor} in the past`,
    keys: (query, slots) => [0, Math.min(slots, 1 + Math.floor((query + 1 - rule.delay) / factor))],
  };
}

/** Treatment of an incomplete last block: filled up with zeros, or dropped. */
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

/** Mask of blocks, [B, S] → [B, N]: `filled`: 1 for blocks with a real position; `dropped`: 1 for blocks that are real throughout. */
export function realBlocks(real: Tensor, factor: number, last: LastBlock): Tensor {
  const rows = blocksAsFeatures(expandDims(real, -1), factor, last);
  return (last === "filled" ? max : min)(rows, { axes: -1 });
}
