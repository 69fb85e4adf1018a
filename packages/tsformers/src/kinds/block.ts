import type { Tensor } from "@tsformers/engine";
import type { Context, Layer } from "./layer.ts";
import type { Mixer, MixerInput, MixerOutput, MixerTraits, Recurrent, SoftmaxMixer } from "./mixer.ts";

/** What a block says of its mixer before it runs, so that a stack knows what to keep for it. */
export type BlockTraits = {
  /** How its positions exchange information. */
  readonly mixer: MixerTraits;
  /** Extents of a key/value cache entry, `[K, D]`. Present when the decode state is keys and values. */
  readonly cacheShape?: SoftmaxMixer<unknown>["cacheShape"];
  /** The decode state before the first position. Present when the mixer can go on from earlier positions. */
  readonly startDecoding?: Recurrent<unknown>["start"];
  readonly initTrainingState?: NonNullable<Mixer["initTrainingState"]>;
  readonly segment?: NonNullable<Mixer["segment"]>;
};

export type BlockOutput = MixerOutput & {
  /** What went into the feed-forward network, behind its norm where it has one, [B, T, C], computed when called. Absent: it is not told. */
  readonly ffnInput?: () => Tensor;
};

/** One layer of a stack: positions exchange information, then each is transformed on its own. */
export type Block<Params = unknown> = Layer<Params, [input: MixerInput, context: Context], BlockOutput> & BlockTraits;
