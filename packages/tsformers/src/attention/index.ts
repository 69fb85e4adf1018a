// How positions exchange information: one line for each mixer, then what they are made from.

export {
  type AxialAutoregressiveParams,
  type AxialSequentialParams,
  type AxialSettings,
  axialAutoregressive,
  axialEntry,
  axialSequential,
  axialSum,
} from "./axial/axial.ts";
export type { AxialLayerOptions } from "./axial/axial-layer.ts";
export {
  type ShortConvolutionOptions,
  type ShortConvolutionParams,
  shortConvolution,
  shortConvolutionEntry,
} from "./convolution/short-convolution.ts";
export { adjacentPairs, type HeadPairs, pairsOfHalves } from "./differential/differences.ts";
export {
  type DifferentialAttentionOptions,
  type DifferentialAttentionParams,
  type DifferentialSettings,
  differentialAttention,
  differentialEntry,
} from "./differential/differential-attention.ts";
export {
  type EtcAttentionOptions,
  type EtcAttentionParams,
  type EtcAttentionSettings,
  etcAttention,
  etcEntry,
} from "./etc/etc-attention.ts";
export {
  type LinearAttentionOptions,
  type LinearAttentionSettings,
  linearAttention,
  linearEntry,
} from "./kernel/linear-attention.ts";
export { type PerformerOptions, type PerformerSettings, performer, performerEntry } from "./kernel/performer.ts";
export { type RfaOptions, type RfaParams, type RfaSettings, rfa, rfaEntry } from "./kernel/rfa.ts";
export {
  type LinformerOptions,
  type LinformerParams,
  type LinformerSettings,
  linformer,
  linformerEntry,
  type ProjectionSharing,
} from "./linformer/linformer.ts";
export {
  type LshAttentionOptions,
  type LshAttentionParams,
  type LshAttentionSettings,
  lshAttention,
  lshEntry,
} from "./lsh/lsh-attention.ts";
export {
  type MemoryCompressedOptions,
  type MemoryCompressedParams,
  type MemoryCompressedSettings,
  memoryCompressed,
  memoryCompressedEntry,
} from "./memory-compressed/memory-compressed.ts";
export type { MixerContext, MixerEntry } from "./mixer-entry.ts";
export { type DeltaNetOptions, type DeltaNetParams, deltaNet, deltaNetEntry } from "./recurrent/delta-net.ts";
export {
  type GatedDeltaNetOptions,
  type GatedDeltaNetParams,
  gatedDeltaNet,
  gatedDeltaNetEntry,
} from "./recurrent/gated-delta-net.ts";
export {
  type GatedLinearAttentionOptions,
  type GatedLinearAttentionParams,
  gatedLinearAttention,
  gatedLinearAttentionEntry,
} from "./recurrent/gated-linear-attention.ts";
export { type RetentionOptions, type RetentionParams, retention, retentionEntry } from "./recurrent/retention.ts";
export {
  type RoutingOptions,
  type RoutingParams,
  type RoutingSettings,
  routing,
  routingEntry,
} from "./routing/routing.ts";
export { type InducedSetSettings, inducedSet, inducedSetEntry } from "./sets/set-attention.ts";
export {
  type SinkhornOptions,
  type SinkhornParams,
  type SinkhornSettings,
  sinkhorn,
  sinkhornEntry,
} from "./sinkhorn/sinkhorn.ts";
export {
  type AttentionOptions,
  type AttentionParams,
  attention,
  type SoftmaxSettings,
  softmaxEntry,
} from "./softmax/attention.ts";
export {
  type LocalAttentionOptions,
  type LocalAttentionSettings,
  localAttention,
  localEntry,
} from "./softmax/local-attention.ts";
export {
  type LongformerAttentionOptions,
  type LongformerAttentionParams,
  type LongformerAttentionSettings,
  longformerAttention,
  longformerEntry,
} from "./softmax/longformer-attention.ts";
export {
  type SynthesizerOptions,
  type SynthesizerParams,
  type SynthesizerSettings,
  type SyntheticLogits,
  synthesizer,
  synthesizerEntry,
} from "./synthesizer/synthesizer.ts";

// What mixers are written with, and used without a model:

export { type Attended, type AttendOptions, attend } from "./core/executor.ts";
export { type RingOptions, ringDecoding } from "./core/ring.ts";
export { makeView, type ViewOptions } from "./core/view.ts";
export {
  type TransientGlobalOptions,
  type TransientGlobalParams,
  transientGlobal,
} from "./transient-global/transient-global.ts";
