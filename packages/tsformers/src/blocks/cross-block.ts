import { add, type Concrete, type RandomKey, splitKey, type Tensor } from "@tsformers/engine";
import type {
  AttentionMap,
  BlockTraits,
  Context,
  KeyValueCache,
  Layer,
  Mixer,
  MixerInput,
  MixerOutput,
  SoftmaxMixer,
  View,
} from "../kinds/index.ts";
import { within } from "../nn/dropout.ts";
import type { FeedForward } from "../nn/feed-forward.ts";
import type { Norm, NormParams } from "../nn/norm.ts";
import { present } from "../schema/present.ts";
import { blockAround, traitsOf } from "./block.ts";

export type CrossInput = MixerInput & {
  /** Keys and values of the other sequence, and what may be seen of it. */
  readonly source: { readonly entries: KeyValueCache; readonly view: View };
};

export type CrossOutput = MixerOutput & {
  /** Of looking at the other sequence. */
  readonly crossMap?: () => AttentionMap;
};

/** One layer of a decoder that also looks at another sequence. */
export type CrossBlock<Params = unknown> = Layer<Params, [input: CrossInput, context: Context], CrossOutput> &
  BlockTraits & {
    /** What this layer looks at in the other sequence [B, S, C]; computed once however many positions are decoded. */
    crossKeysAndValues(params: Params, source: Tensor, view: Pick<View, "rotate">): KeyValueCache;
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

/** A sublayer's place on the residual stream: the stream, its norm, and the sublayer, which may be asked to norm what it takes. */
type Step = (
  x: Tensor,
  norm: (x: Tensor) => Tensor,
  sublayer: (x: Tensor, norm?: (x: Tensor) => Tensor) => Tensor,
) => Tensor;

/** `x ← x + sublayer(norm(x))` for attention, attention to the other sequence, feed-forward. */
export function preNormCrossBlock<Mix, Cross, Ffn>(
  parts: CrossBlockParts<Mix, Cross, Ffn>,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  return crossBlock(parts, (x, norm, sublayer) => add(x, sublayer(x, norm)));
}

/** `x ← norm(x + sublayer(x))` for attention, attention to the other sequence, feed-forward: Vaswani et al. 2017, §3.1. */
export function postNormCrossBlock<Mix, Cross, Ffn>(
  parts: CrossBlockParts<Mix, Cross, Ffn>,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  return crossBlock(parts, (x, norm, sublayer) => norm(add(x, sublayer(x))));
}

function crossBlock<Mix, Cross, Ffn>(
  { modelWidth, norm, mixer, cross, ffn }: CrossBlockParts<Mix, Cross, Ffn>,
  step: Step,
): CrossBlock<CrossBlockParams<Mix, Cross, Ffn>> {
  type Params = CrossBlockParams<Mix, Cross, Ffn>;
  const scale = norm(modelWidth);
  const init = (key: RandomKey) => {
    const [a, b, c, d, e, f] = splitKey(key, 6);
    const params = {
      mixerNorm: scale.init(a!),
      mixer: mixer.init(b!),
      crossNorm: scale.init(c!),
      cross: cross.init(d!),
      ffnNorm: scale.init(e!),
      ffn: ffn.init(f!),
    };
    return params as Concrete<Params>;
  };
  const normed =
    (of: (x: Tensor) => Tensor) =>
    (x: Tensor, norm = (x: Tensor) => x) =>
      of(norm(x));
  /** @param look looks at the other sequence: [B, T, C] → [B, T, C] */
  const around = (look: (params: Cross, x: Tensor, context: Context) => Tensor) =>
    blockAround<Mix, Params>(mixer, init, (params, x, mix, context) => {
      const mixed = step(x, (x) => scale.apply(params.mixerNorm, x), mix);
      const crossed = (x: Tensor) => look(params.cross, x, within(context, "cross"));
      const joined = step(mixed, (x) => scale.apply(params.crossNorm, x), normed(crossed));
      const transformed = (x: Tensor) => ffn.apply(params.ffn, x, within(context, "ffn"));
      return step(joined, (x) => scale.apply(params.ffnNorm, x), normed(transformed));
    });
  return {
    ...traitsOf(mixer),
    init,
    crossKeysAndValues: (params, source, view) => cross.keysAndValues(params.cross, source, view),
    apply: (params, { source: { entries, view }, ...input }, context) => {
      let crossMap: CrossOutput["crossMap"];
      const block = around((params, x, context) => {
        const out = cross.apply(params, { x, cross: entries, view }, context);
        crossMap = out.map;
        return out.y;
      });
      const out = block.apply(params, input, context);
      return { ...out, ...present({ crossMap }) };
    },
  };
}
