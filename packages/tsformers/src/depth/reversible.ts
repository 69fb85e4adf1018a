import {
  add,
  cast,
  concat,
  flatten,
  isTensor,
  mul,
  reversibleSteps,
  type Structure,
  split,
  type Tensor,
  unflatten,
} from "@tsformers/engine";
import * as z from "zod";
import { type BlockParams, type BlockParts, blockAround, initBlock } from "../blocks/block.ts";
import type { Block, Context, Depth, DepthInput, DepthOutput, MixerInput, MixerOutput } from "../kinds/index.ts";
import { within } from "../nn/dropout.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { CombinationError } from "../schema/combination-error.ts";
import type { NoSettings } from "../schema/entry.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import type { StackParams } from "./layers.ts";
import { completed, type FinalNorm, finalNormOf, openLayers, stateOfLayer, stateOfStack } from "./layers.ts";
import { blockStack } from "./stack.ts";

/** A block over two residual streams, side by side in its input and output [B, T, 2C] where it stands alone. */
export type ReversibleBlock<Params = unknown> = Block<Params> & {
  /** What is added to the first stream, from the second one: x [B, T, C] → y [B, T, C]. */
  mix(params: Params, input: MixerInput, context: Context): MixerOutput;
  /** What is added to the second stream, from the first one: [B, T, C] → [B, T, C]. */
  transform(params: Params, x: Tensor, context: Context): Tensor;
};

/**
 * `y₁ = x₁ + mixer(norm(x₂))`, `y₂ = x₂ + ffn(norm(y₁))`; undone by `x₂ = y₂ − ffn(norm(y₁))`, `x₁ = y₁ − mixer(norm(x₂))`.
 *
 * Any depth computes it as it stands, over the pair of streams; {@link reversible} forgets the streams in between.
 *
 * @shape  [x₁; x₂] [B, T, 2C] → [y₁; y₂] [B, T, 2C]
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §3, arXiv:2001.04451
 */
export function reversibleBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): ReversibleBlock<BlockParams<Mix, Ffn>> {
  type Params = BlockParams<Mix, Ffn>;
  const norm = parts.norm(parts.modelWidth);
  const init = initBlock(parts);
  const transform = (params: Params, x: Tensor, context: Context): Tensor =>
    parts.ffn.apply(params.ffn, norm.apply(params.ffnNorm, x), within(context, "ffn"));
  const mixing = blockAround<Mix, Params>(parts.mixer, init, (params, x, mix) =>
    mix(x, (x) => norm.apply(params.mixerNorm, x)),
  );
  return {
    ...mixing,
    mix: mixing.apply,
    transform,
    apply: (params, input, context) => {
      const [x1, x2] = split(input.x, 2, -1) as [Tensor, Tensor];
      const mixed = mixing.apply(params, { ...input, x: x2 }, context);
      const y1 = add(x1, mixed.y);
      return { ...mixed, y: concat([y1, add(x2, transform(params, y1, context))], -1) };
    },
  };
}

/** How the last pair of streams becomes one [B, T, C or 2C]. */
export type StreamMerge = (y1: Tensor, y2: Tensor) => Tensor;

/** `[y₁; y₂]`, twice as wide; Reformer's. The final norm and the head are of width 2C then. */
export const joinedStreams: StreamMerge = (y1, y2) => concat([y1, y2], -1);
/** `(y₁ + y₂) / 2` */
export const meanOfStreams: StreamMerge = (y1, y2) => mul(add(y1, y2), 0.5);
/** `y₁ + y₂` */
export const sumOfStreams: StreamMerge = (y1, y2) => add(y1, y2);

export type ReversibleOptions = FinalNorm & {
  /** Default: {@link joinedStreams}. */
  readonly merge?: StreamMerge;
  /** Keeps the streams between blocks, so that what is inside can be looked at; memory then grows with the depth. */
  readonly keepsStreams?: true;
};

/**
 * Reversible blocks one after the other from `x₁ = x₂ = x`, the last pair merged, then the final norm where there is one.
 *
 * Values and gradients are those of the blocks one by one; memory for the gradient does not depend on how many there are, see
 * `reversibleSteps` of the engine. Dropout drops the same in both passes, since its keys are the same. Mixers that choose by
 * comparing numbers (buckets of hashes, clusters) mark the choice as `kept`: the streams come back up to rounding only, which
 * could turn a close choice over. In decoding nothing is differentiated, and the blocks run as they stand.
 *
 * `hidden` is `[x, output]`: what is between is not there to be looked at.
 *
 * @shape  x [B, T, C] → [B, T, 2C] joined, [B, T, C] otherwise
 * @cost   the blocks' own, and their forward pass once more in training; activations of one block at a time
 * @source Kitaev, Kaiser & Levskaya 2020, §3, arXiv:2001.04451; Gomez et al. 2017, arXiv:1707.04585
 * @differs streams of float16 are summed in float32: they could not be undone otherwise
 * @throws TypeError for vectors to be added to the input of each layer (per-layer, step-signals)
 */
export function reversible<BlockParams>(
  blocks: readonly ReversibleBlock<BlockParams>[],
  options: ReversibleOptions = {},
): Depth<StackParams<BlockParams>> {
  const { merge = joinedStreams } = options;
  return {
    ...blockStack(blocks, options),
    apply: (params, input, context) => {
      if (input.input !== undefined) {
        throw new CombinationError(
          "reversible: takes no vectors for the input of each layer (per-layer, step-signals)",
        );
      }
      const forgets = input.place === undefined && options.keepsStreams === undefined;
      const way = forgets ? forgetful : asTheyStand;
      const { streams, ...rest } = way(
        blocks as readonly ReversibleBlock[],
        completed(blocks, params.blocks),
        input,
        context,
      );
      const merged = merge(cast(streams[0], input.x.dtype), cast(streams[1], input.x.dtype));
      const x = finalNormOf(options, params)(merged);
      return { ...rest, x, hidden: [input.x, x] };
    },
  };
}

type Streams = Omit<DepthOutput, "x" | "hidden"> & { readonly streams: readonly [Tensor, Tensor] };

type Way = (
  blocks: readonly ReversibleBlock[],
  params: readonly unknown[],
  input: DepthInput,
  context: Context,
) => Streams;

const forgetful: Way = (blocks, params, input, context) => {
  const { x, state } = input;
  const wide = x.dtype === "float16" ? "float32" : x.dtype;
  const structures: Structure[] = [];
  const looking: number[] = [];
  // Out here, since each step is traced by itself and layers share what a view has made.
  const views = blocks.map((_, i) => input.view(i));
  const steps = blocks.flatMap((block, i) => [
    (stream: Tensor): [Tensor, ...Tensor[]] => {
      const own = { x: cast(stream, x.dtype), view: views[i]!, state: stateOfLayer(state, i) };
      const { y, map, ...beside } = block.mix(params[i], own, within(context, i));
      const { leaves, structure } = flatten(beside, isTensor);
      structures.push(structure);
      if (map !== undefined) looking.push(i);
      return [cast(y, wide), ...leaves];
    },
    (stream: Tensor): [Tensor] => [cast(block.transform(params[i], cast(stream, x.dtype), within(context, i)), wide)],
  ]);
  const start = cast(x, wide);
  const { streams, others } = reversibleSteps([start, start], steps);
  const beside = structures.map((structure, i) => unflatten(structure, [...others[2 * i]!]) as Beside);
  const maps = looking.map((last, i) => {
    return () => asTheyStand(blocks.slice(0, last + 1), params, input, context).maps[i]!();
  });
  return {
    streams,
    maps,
    losses: sumOfLosses(beside.map(({ losses }) => losses)),
    state: stateOfStack(
      input,
      beside.map(({ state }) => state),
    ),
  };
};

type Beside = Omit<MixerOutput, "y" | "map">;

const asTheyStand: Way = (blocks, params, input, context) => {
  const layers = openLayers(input);
  let pair = concat([input.x, input.x], -1);
  blocks.forEach((block, i) => {
    pair = layers.run(i, block, params[i], pair, context);
  });
  const { x, ...rest } = layers.close(pair);
  return { ...rest, streams: split(x, 2, -1) as [Tensor, Tensor] };
};

/** {@link reversible} blocks, the two streams averaged in the end so that the model keeps its width. */
export const reversing: DepthMaker = {
  arrange: (parts) => reversibleBlock(parts) as Block,
  make: (blocks, options) => reversible(blocks as readonly ReversibleBlock[], { ...options, merge: meanOfStreams }),
};

export const reversibleEntry: DepthEntry<"reversible", NoSettings> = /* @__PURE__ */ depthEntry({
  name: "reversible",
  title: "Reversible blocks",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer, arXiv:2001.04451",
  summary: "two residual streams that are undone for the gradient instead of kept",
  formula: "y₁ = x₁ + mixer(norm(x₂)), y₂ = x₂ + ffn(norm(y₁))",
  cost: "one more forward pass; activations of one block, whatever the depth",
  options: () => z.strictObject({}),
  make: () => reversing,
});
