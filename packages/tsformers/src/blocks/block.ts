import { add, type Concrete, full, splitKey } from "@tsformers/engine";
import type { KeyValueCache, Mixer, MixerInput, MixerOutput, MixerTraits, SoftmaxMixer } from "../kinds/index.ts";
import type { Context, Layer } from "../kinds/layer.ts";
import { within } from "../nn/dropout.ts";
import type { FeedForward } from "../nn/feed-forward.ts";
import type { Norm, NormParams } from "../nn/norm.ts";

/** One layer of a stack: positions exchange information, then each is transformed on its own. */
export type Block<Params = unknown> = Layer<Params, [input: MixerInput, context: Context], MixerOutput> & {
  /** How its positions exchange information. */
  readonly mixer: MixerTraits;
  /** Present when what the mixer keeps of earlier positions is their keys and values. */
  readonly cacheShape?: SoftmaxMixer<unknown>["cacheShape"];
  /** Present when the mixer carries state from one training step to the next. */
  readonly carries?: NonNullable<Mixer<unknown>["initTrainingState"]>;
  /** Present when the mixer can go on position by position. */
  readonly startPast?: (batch: number, capacity: number, carried?: unknown) => unknown;
};

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
  const norm = parts.norm(parts.modelWidth);
  return block(parts, (params, input, context) => {
    const mixed = mix(parts, params.mixer, { ...input, x: norm.apply(params.mixerNorm, input.x) }, context);
    const x = add(input.x, mixed.y);
    const transformed = parts.ffn.apply(params.ffn, norm.apply(params.ffnNorm, x), within(context, "ffn"));
    return { ...mixed, y: add(x, transformed) };
  });
}

/**
 * `x ← norm(x + mixer(x))`, `x ← norm(x + ffn(x))`: the original arrangement.
 *
 * @source Vaswani et al. 2017, §3.1
 */
export function postNormBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  const norm = parts.norm(parts.modelWidth);
  return block(parts, (params, input, context) => {
    const mixed = mix(parts, params.mixer, input, context);
    const x = norm.apply(params.mixerNorm, add(input.x, mixed.y));
    const transformed = parts.ffn.apply(params.ffn, x, within(context, "ffn"));
    return { ...mixed, y: norm.apply(params.ffnNorm, add(x, transformed)) };
  });
}

/**
 * `y = norm(x)`, `x ← y + mixer(y)`; `z = norm(x)`, `x ← z + ffn(z)`: pre-norm whose residual stream passes through the norms,
 * BLOOM's `apply_residual_connection_post_layernorm`.
 */
export function normedResidualBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  const norm = parts.norm(parts.modelWidth);
  return block(parts, (params, input, context) => {
    const first = norm.apply(params.mixerNorm, input.x);
    const mixed = mix(parts, params.mixer, { ...input, x: first }, context);
    const second = norm.apply(params.ffnNorm, add(first, mixed.y));
    return { ...mixed, y: add(second, parts.ffn.apply(params.ffn, second, within(context, "ffn"))) };
  });
}

/** `x ← x + mixer(norm₁(x)) + ffn(norm₂(x))`: both branches read the same x. GPT-NeoX's. */
export function parallelBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<BlockParams<Mix, Ffn>> {
  const norm = parts.norm(parts.modelWidth);
  return block(parts, (params, input, context) => {
    const mixed = mix(parts, params.mixer, { ...input, x: norm.apply(params.mixerNorm, input.x) }, context);
    const transformed = parts.ffn.apply(params.ffn, norm.apply(params.ffnNorm, input.x), within(context, "ffn"));
    return { ...mixed, y: add(input.x, add(mixed.y, transformed)) };
  });
}

/**
 * `y = norm(x)`, `x ← x + mixer(y) + ffn(y)`: both branches read one norm. GPT-J's.
 *
 * @source Wang & Komatsuzaki 2021, "GPT-J-6B"
 */
export function sharedNormBlock<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block<Omit<BlockParams<Mix, Ffn>, "ffnNorm">> {
  const norm = parts.norm(parts.modelWidth);
  return {
    ...stateOf(parts.mixer),
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const params = { mixerNorm: norm.init(a!), mixer: parts.mixer.init(b!), ffn: parts.ffn.init(c!) };
      return params as Concrete<Omit<BlockParams<Mix, Ffn>, "ffnNorm">>;
    },
    apply: (params, input, context) => {
      const normed = norm.apply(params.mixerNorm, input.x);
      const mixed = mix(parts, params.mixer, { ...input, x: normed }, context);
      const transformed = parts.ffn.apply(params.ffn, normed, within(context, "ffn"));
      return { ...mixed, y: add(input.x, add(mixed.y, transformed)) };
    },
  };
}

function mix<Mix, Ffn>(parts: BlockParts<Mix, Ffn>, params: Mix, input: MixerInput, context: Context): MixerOutput {
  return mixOrStep(parts.mixer, params, input, within(context, "mixer"));
}

/**
 * Mixes a sequence, or goes one position on from what earlier ones left behind.
 *
 * @throws TypeError when there is a past and the mixer is not causal
 */
export function mixOrStep<Mix>(mixer: Mixer<Mix>, params: Mix, input: MixerInput, context: Context): MixerOutput {
  const { past, view } = input;
  if (past === undefined) return mixer.apply(params, input, context);
  if (mixer.recurrent === undefined)
    throw new TypeError("this mixer is not causal: it cannot go on position by position");
  const { position, slots } = past;
  const { y, state } = mixer.recurrent.step(params, input.x, past.state as never, { position, view, slots });
  return { y, past: state };
}

/**
 * Room for the keys and values of `capacity` positions of one block.
 *
 * @throws TypeError for a mixer that keeps something else of earlier positions
 */
export function emptyCacheOf(
  { cacheShape }: Pick<Block, "cacheShape">,
  batch: number,
  capacity: number,
): Concrete<KeyValueCache> {
  if (cacheShape === undefined)
    throw new TypeError("this mixer keeps no keys and values: decode with its recurrent form");
  const shape = [batch, cacheShape[0], capacity, cacheShape[1]];
  return { key: full(shape, 0), value: full(shape, 0) };
}

/** What a block says of its mixer. */
export function stateOf<Mix>(
  mixer: Mixer<Mix> | SoftmaxMixer<Mix>,
): Pick<Block, "mixer" | "cacheShape" | "carries" | "startPast"> {
  return {
    mixer: { name: mixer.name, sees: mixer.sees },
    ...("cacheShape" in mixer ? { cacheShape: mixer.cacheShape } : {}),
    ...(mixer.initTrainingState === undefined ? {} : { carries: mixer.initTrainingState }),
    ...(mixer.recurrent === undefined ? {} : { startPast: mixer.recurrent.start }),
  };
}

function block<Mix, Ffn>(
  { modelWidth, norm, mixer, ffn }: BlockParts<Mix, Ffn>,
  apply: Block<BlockParams<Mix, Ffn>>["apply"],
): Block<BlockParams<Mix, Ffn>> {
  return {
    ...stateOf(mixer),
    init: (key) => {
      const [a, b, c, d] = splitKey(key, 4);
      const params = {
        mixerNorm: norm(modelWidth).init(a!),
        mixer: mixer.init(b!),
        ffnNorm: norm(modelWidth).init(c!),
        ffn: ffn.init(d!),
      };
      return params as Concrete<BlockParams<Mix, Ffn>>;
    },
    apply,
  };
}
