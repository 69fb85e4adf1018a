import { add, type Concrete, full, type RandomKey, splitKey, type Tensor } from "@tsformers/engine";
import type {
  Block,
  BlockTraits,
  Context,
  KeyValueCache,
  Mixer,
  MixerInput,
  MixerOutput,
  SoftmaxMixer,
} from "../kinds/index.ts";
import { within } from "../nn/dropout.ts";
import type { FeedForward } from "../nn/feed-forward.ts";
import type { Norm, NormParams } from "../nn/norm.ts";
import { present } from "../schema/present.ts";

export type { Block, BlockTraits } from "../kinds/index.ts";

export type BlockParts<Mix, Ffn> = {
  readonly modelWidth: number;
  readonly norm: Norm;
  readonly mixer: Mixer<Mix>;
  readonly ffn: FeedForward<Ffn>;
};

export type BlockParams<Mix, Ffn> = { mixerNorm: NormParams; mixer: Mix; ffnNorm: NormParams; ffn: Ffn };

/**
 * `x ← x + mixer(norm(x))`, `x ← x + ffn(norm(x))`: the residual stream itself is never normalised.
 *
 * @source Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", arXiv:2002.04745; GPT-2
 */
export function preNormBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  return block(parts, (x, { mix, mixerNorm, ffn, ffnNorm }) => {
    const mixed = add(x, mix(x, mixerNorm));
    return add(mixed, ffn(ffnNorm(mixed)));
  });
}

/**
 * `x ← norm(x + mixer(x))`, `x ← norm(x + ffn(x))`: the original arrangement.
 *
 * @source Vaswani et al. 2017, §3.1
 */
export function postNormBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  return block(parts, (x, { mix, mixerNorm, ffn, ffnNorm }) => {
    const mixed = mixerNorm(add(x, mix(x)));
    return ffnNorm(add(mixed, ffn(mixed)));
  });
}

/**
 * `y = norm(x)`, `x ← y + mixer(y)`; `z = norm(x)`, `x ← z + ffn(z)`: pre-norm whose residual stream passes through the norms,
 * BLOOM's `apply_residual_connection_post_layernorm`.
 */
export function normedResidualBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  return block(parts, (x, { mix, mixerNorm, ffn, ffnNorm }) => {
    const first = mixerNorm(x);
    const second = ffnNorm(add(first, mix(first)));
    return add(second, ffn(second));
  });
}

/** `x ← x + mixer(norm₁(x)) + ffn(norm₂(x))`: both branches read the same x. GPT-NeoX's. */
export function parallelBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  return block(parts, (x, { mix, mixerNorm, ffn, ffnNorm }) => add(x, add(mix(x, mixerNorm), ffn(ffnNorm(x)))));
}

/**
 * `y = norm(x)`, `x ← x + mixer(y) + ffn(y)`: both branches read one norm. GPT-J's.
 *
 * @source Wang & Komatsuzaki 2021, "GPT-J-6B"
 */
export function sharedNormBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<Omit<BlockParams<Mix, Ffn>, "ffnNorm">> {
  const norm = parts.norm(parts.modelWidth);
  const init = (key: RandomKey) => {
    const [a, b, c] = splitKey(key, 3);
    const params = { mixerNorm: norm.init(a!), mixer: parts.mixer.init(b!), ffn: parts.ffn.init(c!) };
    return params as Concrete<Omit<BlockParams<Mix, Ffn>, "ffnNorm">>;
  };
  return blockAround<Mix, Omit<BlockParams<Mix, Ffn>, "ffnNorm">>(
    parts.mixer,
    init,
    (params, x, mix, _, transform) => {
      const normed = norm.apply(params.mixerNorm, x);
      return add(x, add(mix(normed), transform(normed)));
    },
    parts.ffn,
  );
}

/**
 * Mixes: [B, T, C] → [B, T, C].
 *
 * @param norm what is done to the stream before; a memory keeps the stream as it comes, and what it kept passes through the norm again
 */
export type Mix = (x: Tensor, norm?: (x: Tensor) => Tensor) => Tensor;

/**
 * A block around one mixer: the one place where a block hands on what goes into its mixer beside x, and what comes out beside y.
 *
 * @param apply what the block makes of x; it mixes exactly once, and transforms at most once, by `ffn` on `params.ffn`
 * @param ffn its feed-forward network, whose input the block then tells. Default: none
 */
export function blockAround<MixParams, Params extends { mixer: MixParams; ffn?: unknown }>(
  mixer: Mixer<MixParams>,
  init: (key: RandomKey) => Concrete<Params>,
  apply: (params: Params, x: Tensor, mix: Mix, context: Context, transform: (x: Tensor) => Tensor) => Tensor,
  ffn?: FeedForward<Params["ffn"]>,
): Block<Params> {
  return {
    ...traitsOf(mixer),
    init,
    apply: (params, input, context) => {
      let mixed: MixerOutput | undefined;
      const mix: Mix = (x, norm) => {
        const stream = norm === undefined ? {} : { stream: { x, norm } };
        const own = { ...input, x: norm === undefined ? x : norm(x), ...stream };
        mixed = mixOrStep(mixer, params.mixer, own, within(context, "mixer"));
        return mixed.y;
      };
      let ffnInput: Tensor | undefined;
      const transform = (x: Tensor): Tensor => {
        ffnInput = x;
        return ffn!.apply(params.ffn, x, within(context, "ffn"));
      };
      const y = apply(params, input.x, mix, context, transform);
      return { ...mixed!, y, ...(ffnInput !== undefined && { ffnInput: () => ffnInput! }) };
    },
  };
}

/**
 * Mixes a sequence, or goes one position on from what earlier ones left behind.
 *
 * @throws TypeError in decoding when the mixer is not causal
 */
export function mixOrStep<Params>(
  mixer: Mixer<Params> | SoftmaxMixer<Params>,
  params: Params,
  input: MixerInput,
  context: Context,
): MixerOutput {
  const { place, view, state } = input;
  // Keys and values are read and written by attention itself, for any number of positions.
  if (place === undefined || "cacheShape" in mixer) return mixer.apply(params, input, context);
  if (mixer.recurrent === undefined)
    throw new TypeError(`${mixer.name}: is not causal, it cannot go on position by position`);
  const { y, state: decode } = mixer.recurrent.step(params, input.x, state?.decode as never, { ...place, view });
  return { y, state: { ...state, decode } };
}

/**
 * Room for the keys and values of `capacity` positions of one block.
 *
 * @throws TypeError for a mixer that keeps something else of earlier positions
 */
export function emptyCacheOf(
  { cacheShape, mixer }: Pick<Block, "cacheShape" | "mixer">,
  batch: number,
  capacity: number,
): Concrete<KeyValueCache> {
  if (cacheShape === undefined)
    throw new TypeError(`${mixer.name}: keeps no keys and values; decode with its recurrent form`);
  const shape = [batch, cacheShape[0], capacity, cacheShape[1]];
  return { key: full(shape, 0), value: full(shape, 0) };
}

/** What a block says of its mixer. */
export function traitsOf<Params>(mixer: Mixer<Params> | SoftmaxMixer<Params>): BlockTraits {
  return {
    mixer: {
      name: mixer.name,
      sees: mixer.sees,
      ...present({ readsGlobals: mixer.readsGlobals, shareParams: mixer.shareParams }),
    },
    ...present({
      cacheShape: "cacheShape" in mixer ? mixer.cacheShape : undefined,
      startDecoding: mixer.recurrent?.start,
      initTrainingState: mixer.initTrainingState,
      segment: mixer.segment,
    }),
  };
}

/** What a block is made of, its parameters filled in. */
type Sublayers = {
  readonly mix: Mix;
  readonly mixerNorm: (x: Tensor) => Tensor;
  readonly ffn: (x: Tensor) => Tensor;
  readonly ffnNorm: (x: Tensor) => Tensor;
};

function block<Mix, Ffn>(
  parts: BlockParts<Mix, Ffn>,
  arrange: (x: Tensor, sublayers: Sublayers) => Tensor,
): Block<BlockParams<Mix, Ffn>> {
  const norm = parts.norm(parts.modelWidth);
  return blockAround<Mix, BlockParams<Mix, Ffn>>(
    parts.mixer,
    initBlock(parts),
    (params, x, mix, _, ffn) =>
      arrange(x, {
        mix,
        mixerNorm: (x) => norm.apply(params.mixerNorm, x),
        ffn,
        ffnNorm: (x) => norm.apply(params.ffnNorm, x),
      }),
    parts.ffn,
  );
}

/** The parameters of a block with a norm for each of its two sublayers. */
export function initBlock<Mix, Ffn>({
  modelWidth,
  norm,
  mixer,
  ffn,
}: BlockParts<Mix, Ffn>): (key: RandomKey) => Concrete<BlockParams<Mix, Ffn>> {
  return (key: RandomKey): Concrete<BlockParams<Mix, Ffn>> => {
    const [a, b, c, d] = splitKey(key, 4);
    const params = {
      mixerNorm: norm(modelWidth).init(a!),
      mixer: mixer.init(b!),
      ffnNorm: norm(modelWidth).init(c!),
      ffn: ffn.init(d!),
    };
    return params as Concrete<BlockParams<Mix, Ffn>>;
  };
}
