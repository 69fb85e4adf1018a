import type { BlockParts } from "../blocks/block.ts";
import type { Block, Depth, Layer } from "../kinds/index.ts";
import type { NormParams } from "../nn/norm.ts";
import { type EarlyExitOptions, earlyExit } from "./early-exit.ts";
import { recomputed } from "./recomputed.ts";
import { meanOfStreams, type ReversibleBlock, reversible, reversibleBlock } from "./reversible.ts";
import { type SharedOptions, shared } from "./shared.ts";
import { blockStack, type StackParams } from "./stack.ts";
import { type UniversalOptions, universal } from "./universal.ts";

/** How the blocks of a model follow one another, for models that leave the choice open. */
export type DepthMaker = {
  /** The block that it needs. Default: the model's own. */
  arrange?<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block;
  make(
    blocks: readonly Block[],
    options: { readonly finalNorm?: Layer<NormParams>; readonly modelWidth: number },
  ): Depth<StackParams>;
};

/** One after the other. */
export const stacked: DepthMaker = { make: (blocks, options) => blockStack(blocks, options) };

/** {@link shared} layers. */
export function sharing(options: Pick<SharedOptions, "groups" | "parts"> = {}): DepthMaker {
  return { make: (blocks, rest) => shared(blocks, { ...options, ...rest }) };
}

/** {@link reversible} blocks, the two streams averaged in the end so that the model keeps its width. */
export const reversing: DepthMaker = {
  arrange: (parts) => reversibleBlock(parts) as Block,
  make: (blocks, options) => reversible(blocks as readonly ReversibleBlock[], { ...options, merge: meanOfStreams }),
};

/** Blocks that are {@link recomputed} for the gradient. */
export const recomputing: DepthMaker = { make: (blocks, options) => blockStack(blocks.map(recomputed), options) };

/** The first block again and again, as many times as there are layers, each position until it halts: {@link universal}. */
export function repeating(options: Omit<UniversalOptions, "maxSteps" | "modelWidth" | "finalNorm"> = {}): DepthMaker {
  return { make: (blocks, rest) => universal(blocks[0]!, { ...options, ...rest, maxSteps: blocks.length }) };
}

/** A stack that positions leave early: {@link earlyExit}. */
export function exiting(options: Omit<EarlyExitOptions, "finalNorm">): DepthMaker {
  return { make: (blocks, rest) => earlyExit(blocks, { ...options, ...rest }) };
}
