// How a model knows about positions: one line for each scheme, then what schemes are made with.

export {
  type AdaptiveSpanOptions,
  type AdaptiveSpanSettings,
  adaptiveSpan,
  adaptiveSpanEntry,
  clampSpans,
  spanPattern,
  spanPenalty,
} from "./adaptive-span.ts";
export { type AlibiOptions, alibi, alibiEntry, alibiSlopes } from "./alibi.ts";
export { type Angles, exactAngles, frequencies, inclusiveFrequencies, roundedAngles } from "./angles.ts";
export { type AxialOptions, type AxialPositionSettings, axial, axialEntry, axialGrid } from "./axial.ts";
export { distanceAware, distanceAwareEntry } from "./distance-aware.ts";
export { type DynamicSpanOptions, dynamicSpan } from "./dynamic-span.ts";
export { learned, learnedEntry } from "./learned.ts";
export { learnedPerLayer, learnedPerLayerEntry } from "./learned-per-layer.ts";
export { noneEntry } from "./none.ts";
export { perLayer } from "./per-layer.ts";
export type { PositionContext, PositionEntry, PositionKind } from "./position-entry.ts";
export {
  halves,
  neighbours,
  type Pairing,
  type RotaryOptions,
  type RotarySettings,
  rotary,
  rotaryEntry,
  rotatingValues,
} from "./rotary.ts";
export { type ShawOptions, type ShawSettings, shaw, shawEntry } from "./shaw.ts";
export {
  concatenated,
  interleaved,
  type SinusoidalOptions,
  type SinusoidLayout,
  sinusoidal,
  sinusoidalEntry,
  type WaveSettings,
} from "./sinusoidal.ts";
export { stepSignals, stepSignalsEntry } from "./step-signals.ts";
export {
  type StreamingRotaryOptions,
  type StreamingRotarySettings,
  streamingRotary,
  streamingRotaryEntry,
} from "./streaming-rotary.ts";
export {
  type BucketOptions,
  type Buckets,
  bidirectionalBuckets,
  causalBuckets,
  type T5BiasSettings,
  t5Bias,
  t5Entry,
} from "./t5-bias.ts";
export {
  type TransformerXlOptions,
  type TransformerXlSettings,
  transformerXlEntry,
  transformerXlScores,
} from "./transformer-xl.ts";
