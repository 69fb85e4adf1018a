import { add, type Concrete, splitKey, type Tensor } from "@tsformers/engine";
import type {
  AttentionMap,
  KeyValueCache,
  Mixer,
  MixerInput,
  MixerOutput,
  MixerTraits,
  SoftmaxMixer,
  View,
} from "../kinds/index.ts";
import type { Context, Layer } from "../kinds/layer.ts";
import { within } from "../nn/dropout.ts";
import type { FeedForward } from "../nn/feed-forward.ts";
import type { Norm, NormParams } from "../nn/norm.ts";
import { stateOf } from "./block.ts";

export type CrossInput = MixerInput & {
  /** Keys and values of the other sequence, and what may be seen of it. */
  readonly memory: { readonly entries: KeyValueCache; readonly view: View };
};

export type CrossOutput = MixerOutput & {
  /** Of looking at the other sequence. */
  readonly crossMap?: () => AttentionMap;
};

/** One layer of a decoder that also looks at another sequence. */
export type CrossBlock<Params = unknown> = Layer<Params, [input: CrossInput, context: Context], CrossOutput> & {
  readonly mixer: MixerTraits;
  readonly cacheShape?: SoftmaxMixer<unknown>["cacheShape"];
  /** What this layer looks at in the other sequence [B, S, C]; computed once however many positions are decoded. */
  crossKeysAndValues(params: Params, memory: Tensor, view: Pick<View, "rotate">): KeyValueCache;
};

export type CrossBlockParts<Mix, Cross, Ffn> = {
  readonly modelWidth: number;
  readonly norm: Norm;
  readonly mixer: Mixer<Mix>;
  readonly cross: SoftmaxMixer<Cross>;
  readonly ffn: FeedForward<Ffn>;
};

export type CrossBlockParams<Mix, Cross, Ffn> = {
  mixerNorm: NormParams;
  mixer: Mix;
  crossNorm: NormParams;
  cross: Cross;
  ffnNorm: NormParams;
  ffn: Ffn;
};

/** A sublayer's place on the residual stream: its norm, the stream, the sublayer. */
type Step = (norm: (x: Tensor) => Tensor, x: Tensor, sublayer: (x: Tensor) => Tensor) => Tensor;

/** `x ← x + sublayer(norm(x))` for attention, attention to the other sequence, feed-forward. */
export function preNormCrossBlock<Mix, Cross, Ffn>(
  parts: CrossBlockParts<Mix, Cross, Ffn>,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  return crossBlock(parts, (norm, x, sublayer) => add(x, sublayer(norm(x))));
}

/** `x ← norm(x + sublayer(x))` for attention, attention to the other sequence, feed-forward: Vaswani et al. 2017, §3.1. */
export function postNormCrossBlock<Mix, Cross, Ffn>(
  parts: CrossBlockParts<Mix, Cross, Ffn>,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  return crossBlock(parts, (norm, x, sublayer) => norm(add(x, sublayer(x))));
}

function crossBlock<Mix, Cross, Ffn>(
  { modelWidth, norm, mixer, cross, ffn }: CrossBlockParts<Mix, Cross, Ffn>,
  step: Step,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  const scale = norm(modelWidth);
  return {
    ...stateOf(mixer),
    crossKeysAndValues: (params, memory, view) => cross.keysAndValues(params.cross, memory, view),
    init: (key) => {
      const [a, b, c, d, e, f] = splitKey(key, 6);
      const params = {
        mixerNorm: scale.init(a!),
        mixer: mixer.init(b!),
        crossNorm: scale.init(c!),
        cross: cross.init(d!),
        ffnNorm: scale.init(e!),
        ffn: ffn.init(f!),
      };
      return params as Concrete<CrossBlockParams<Mix, Cross, Ffn>>;
    },
    apply: (params, { memory, ...input }, context) => {
      let mixed: MixerOutput | undefined;
      let crossed: MixerOutput | undefined;
      const first = step(
        (x) => scale.apply(params.mixerNorm, x),
        input.x,
        (x) => (mixed = mixer.apply(params.mixer, { ...input, x }, within(context, "mixer"))).y,
      );
      const second = step(
        (x) => scale.apply(params.crossNorm, x),
        first,
        (x) => {
          const look = { x, known: memory.entries, view: memory.view };
          crossed = cross.apply(params.cross, look, within(context, "cross"));
          return crossed.y;
        },
      );
      const y = step(
        (x) => scale.apply(params.ffnNorm, x),
        second,
        (x) => ffn.apply(params.ffn, x, within(context, "ffn")),
      );
      return { ...mixed!, y, ...(crossed!.map === undefined ? {} : { crossMap: crossed!.map }) };
    },
  };
}
