import {
  add,
  cast,
  concat,
  flatten,
  isTensor,
  mul,
  reversible,
  type Structure,
  split,
  type Tensor,
  unflatten,
} from "@tsformers/engine";
import { type Block, type BlockParams, type BlockParts, preNormBlock } from "../blocks/block.ts";
import type { AttentionMap, KeyValueCache, MixerInput, MixerOutput, View } from "../kinds/index.ts";
import type { Context } from "../kinds/layer.ts";
import { within } from "../nn/dropout.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import { type CarriedLayers, cacheOfLayer, type StackInput, type StackOutput } from "./stack.ts";

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
 * Any {@link runStack} computes it as it stands, over the pair of streams; {@link runReversible} forgets the streams in between.
 *
 * @shape  [x₁; x₂] [B, T, 2C] → [y₁; y₂] [B, T, 2C]
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", §3, arXiv:2001.04451
 */
export function reversibleBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): ReversibleBlock<BlockParams<Mix, Ffn>> {
  const norm = parts.norm(parts.modelWidth);
  const { init, mixer, cacheShape, carries } = preNormBlock(parts);
  const mix: ReversibleBlock<BlockParams<Mix, Ffn>>["mix"] = (params, input, context) =>
    parts.mixer.apply(params.mixer, { ...input, x: norm.apply(params.mixerNorm, input.x) }, within(context, "mixer"));
  const transform: ReversibleBlock<BlockParams<Mix, Ffn>>["transform"] = (params, x, context) =>
    parts.ffn.apply(params.ffn, norm.apply(params.ffnNorm, x), within(context, "ffn"));
  return {
    ...present({ cacheShape, carries }),
    mixer,
    init,
    mix,
    transform,
    apply: (params, input, context) => {
      const [x1, x2] = split(input.x, 2, -1) as [Tensor, Tensor];
      const mixed = mix(params, { ...input, x: x2 }, context);
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

export type ReversibleInput = StackInput & {
  /** {@link joinedStreams} unless told. */
  readonly merge?: StreamMerge;
};

/**
 * Reversible blocks one after the other from `x₁ = x₂ = x`, the last pair merged, then the final norm where there is one.
 *
 * Values and gradients are those of the blocks one by one; memory for the gradient does not depend on how many there are, see
 * `reversible` of the engine. Dropout drops the same in both passes, since its keys are the same. Mixers that choose by
 * comparing numbers (buckets of hashes, clusters) mark the choice as `kept`: the streams come back up to rounding only, which
 * could turn a close choice over. With a cache nothing is differentiated, and the blocks run as they stand.
 *
 * `hidden` is `[x, output]`: what is between is not there to be looked at.
 *
 * @shape  x [B, T, C] → [B, T, 2C] joined, [B, T, C] otherwise
 * @cost   the blocks' own, and their forward pass once more in training; activations of one block at a time
 * @source Kitaev, Kaiser & Levskaya 2020, §3, arXiv:2001.04451; Gomez et al. 2017, arXiv:1707.04585
 * @differs streams of float16 are summed in float32: they could not be undone otherwise
 * @throws TypeError for vectors to be added to the input of each layer, and for a state to go on from
 */
export function runReversible(
  blocks: readonly ReversibleBlock[],
  params: { readonly blocks: readonly unknown[]; readonly finalNorm?: NormParams },
  input: ReversibleInput,
  context: Context,
): StackOutput {
  const { x, merge = joinedStreams, finalNorm } = input;
  if (input.input !== undefined) {
    throw new TypeError("runReversible: takes no vectors for the input of each layer (per-layer, step-signals)");
  }
  if (input.past !== undefined)
    throw new TypeError("runReversible: cannot go on position by position, save with a cache");
  const { streams, ...rest } = (input.cache === undefined ? forgetful : asTheyStand)(
    blocks,
    params.blocks,
    input,
    context,
  );
  const merged = merge(cast(streams[0], x.dtype), cast(streams[1], x.dtype));
  const y = finalNorm === undefined ? merged : finalNorm.apply(params.finalNorm!, merged);
  return { ...rest, x: y, hidden: [x, y] };
}

type Streams = Omit<StackOutput, "x" | "hidden"> & { readonly streams: readonly [Tensor, Tensor] };

type Way = (
  blocks: readonly ReversibleBlock[],
  params: readonly unknown[],
  input: ReversibleInput,
  context: Context,
) => Streams;

const forgetful: Way = (blocks, params, input, context) => {
  const { x, carried } = input;
  const wide = x.dtype === "float16" ? "float32" : x.dtype;
  const structures: Structure[] = [];
  const looking: number[] = [];
  const steps = blocks.flatMap((block, i) => [
    (stream: Tensor): [Tensor, ...Tensor[]] => {
      const own = { x: cast(stream, x.dtype), view: viewOf(input, i), ...present({ carried: carried?.[i] }) };
      const { y, loss, carried: next, map } = block.mix(params[i], own, within(context, i));
      const { leaves, structure } = flatten({ loss, carried: next }, isTensor);
      structures.push(structure);
      if (map !== undefined) looking.push(i);
      return [cast(y, wide), ...leaves];
    },
    (stream: Tensor): [Tensor] => [cast(block.transform(params[i], cast(stream, x.dtype), within(context, i)), wide)],
  ]);
  const start = cast(x, wide);
  const { streams, others } = reversible([start, start], steps);
  const beside = structures.map((structure, i) => unflatten(structure, [...others[2 * i]!])) as Beside[];
  const maps = looking.map((last, i) => {
    return () => asTheyStand(blocks.slice(0, last + 1), params, input, context).maps[i]!();
  });
  return { streams, maps, ...gathered(beside, carried) };
};

type Beside = Pick<MixerOutput, "loss" | "carried">;

const asTheyStand: Way = (blocks, params, input, context) => {
  const { x, cache, carried } = input;
  let pair = concat([x, x], -1);
  const outs = blocks.map((block, i) => {
    const out = block.apply(
      params[i],
      {
        x: pair,
        view: viewOf(input, i),
        ...present({ carried: carried?.[i], cache: cache && cacheOfLayer(cache, i) }),
      },
      within(context, i),
    );
    pair = out.y;
    return out;
  });
  const caches = outs.map((out) => out.cache).filter((one): one is KeyValueCache => one !== undefined);
  const maps = outs.map(({ map }) => map).filter((one): one is () => AttentionMap => one !== undefined);
  const streams = split(pair, 2, -1) as [Tensor, Tensor];
  return { streams, maps, ...gathered(outs, carried), ...(cache === undefined ? {} : { cache: caches }) };
};

function viewOf({ view }: ReversibleInput, layer: number): View {
  return typeof view === "function" ? view(layer) : view;
}

function gathered(outs: readonly Beside[], before: CarriedLayers | undefined): Pick<StackOutput, "loss" | "carried"> {
  const losses = outs.flatMap(({ loss }) => loss ?? []);
  const carried = outs.flatMap(({ carried }, i) => (carried === undefined ? [] : [[i, carried]]));
  return {
    ...(losses.length === 0 ? {} : { loss: losses.reduce((a, b) => add(a, b)) }),
    ...(before === undefined ? {} : { carried: Object.fromEntries(carried) }),
  };
}
