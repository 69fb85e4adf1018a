// The catalogues: everything that has a name, loaded when it is made.

export { type Attended, type AttendOptions, attend } from "./attention/core/executor.ts";
export { type RingOptions, ringDecoding } from "./attention/core/ring.ts";
export { makeView } from "./attention/core/view.ts";
export * from "./attention/index.ts";
export { axialColumn, axialRow } from "./attention/patterns/axial.ts";
export { bigbird, bigbirdExtended } from "./attention/patterns/bigbird.ts";
export { blockwise } from "./attention/patterns/blockwise.ts";
export * from "./attention/patterns/combine.ts";
export * from "./attention/patterns/count.ts";
export { dilatedHeads, dilatedWindow } from "./attention/patterns/dilated.ts";
export * from "./attention/patterns/draw.ts";
export { etc } from "./attention/patterns/etc.ts";
export { fixed } from "./attention/patterns/fixed.ts";
export { globalTokens } from "./attention/patterns/global.ts";
export {
  type LayerPatterns,
  type PatternContext,
  type PatternEntry,
  type PatternName,
  patterns,
} from "./attention/patterns/index.ts";
export { local1d } from "./attention/patterns/local-1d.ts";
export { local2d } from "./attention/patterns/local-2d.ts";
export { longformer, longformerLayers } from "./attention/patterns/longformer.ts";
export type { Pattern, Runs } from "./attention/patterns/pattern.ts";
export { causal, denseMask, full } from "./attention/patterns/pattern.ts";
export { perLayer as patternPerLayer } from "./attention/patterns/per-layer.ts";
export { type Reach, reachOf } from "./attention/patterns/reach.ts";
export { strided } from "./attention/patterns/strided.ts";
export { slidingWindow } from "./attention/patterns/window.ts";
// Layers, and the parts that models are put together from.
export * from "./blocks/block.ts";
export * from "./blocks/gated-block.ts";
export { type MixerName, mixers } from "./catalogue/mixers.ts";
export * from "./depth/recomputed.ts";
export * from "./depth/reversible.ts";
export { blockStack } from "./depth/stack.ts";
// Generation.
export { capacityFor } from "./generate/decode-cache.ts";
export { type Decoder, type DecoderOptions, openDecoder } from "./generate/decoder.ts";
export {
  type Ending,
  encodePrompt,
  type GenerateOptions,
  generate,
  generateText,
  PromptError,
  type TextCoder,
  type TextOptions,
  textOf,
  type Written,
} from "./generate/generate.ts";
export { LogitsError, mostLikely, type SamplingOptions, sample } from "./generate/sampling.ts";
export {
  type BeamOptions,
  type Hypothesis,
  openSequenceDecoder,
  type SequenceDecoder,
} from "./generate/sequence-decoder.ts";
// Kinds: what a variant is a value of.
export type * from "./kinds/index.ts";
export { type Context, evaluation, type Layer } from "./kinds/layer.ts";
export { type DecoderParams, type DecoderParts, decoder } from "./models/decoder.ts";
export { type GptOptions, gpt, gptParts } from "./models/gpt.ts";
export {
  type DecoderEntry,
  type EncoderDecoderEntry,
  type EncoderEntry,
  type ModelEntry,
  type ModelName,
  models,
} from "./models/index.ts";
export type { LanguageModel, LanguageModelOutput, TokensInput } from "./models/language-model.ts";
export type { DecodeInput, DecodeOutput, EncodeOutput, SequenceToSequence } from "./models/sequence-to-sequence.ts";
export { type ChunkOptions, chunkedFeedForward } from "./nn/chunked.ts";
export * from "./nn/chunked-cross-entropy.ts";
export { crossEntropies, meanCrossEntropy } from "./nn/cross-entropy.ts";
export { dropout, within } from "./nn/dropout.ts";
export * from "./nn/embedding.ts";
export * from "./nn/feed-forward.ts";
export * from "./nn/gate.ts";
export * from "./nn/head.ts";
export * from "./nn/initial.ts";
export * from "./nn/linear.ts";
export * from "./nn/norm.ts";
export * from "./objectives/classification.ts";
export type { Objective } from "./objectives/objective.ts";
export { sequenceToSequenceObjective } from "./objectives/sequence-to-sequence.ts";
export { tokenObjective } from "./objectives/tokens.ts";
export { adaptiveSpan, clampSpans, spanPattern, spanPenalty } from "./position/adaptive-span.ts";
export { alibi, alibiSlopes } from "./position/alibi.ts";
export { axial, axialGrid } from "./position/axial.ts";
export { distanceAware } from "./position/distance-aware.ts";
export { dynamicSpan } from "./position/dynamic-span.ts";
export { type PositionContext, type PositionEntry, type PositionName, positions } from "./position/index.ts";
export { learned } from "./position/learned.ts";
export { learnedPerLayer } from "./position/learned-per-layer.ts";
export { perLayer } from "./position/per-layer.ts";
export { halves, neighbours, type RotaryOptions, rotary } from "./position/rotary.ts";
export { shaw } from "./position/shaw.ts";
export { concatenated, interleaved, type SinusoidalOptions, sinusoidal } from "./position/sinusoidal.ts";
export { stepSignals } from "./position/step-signals.ts";
export { bidirectionalBuckets, causalBuckets, t5Bias } from "./position/t5-bias.ts";
export { transformerXlScores as transformerXl } from "./position/transformer-xl.ts";
// Whole runs as plain data.
export { ConfigError, parseRunConfig, type RunConfig, type RunConfigInput, runSchema } from "./run/config.ts";
export { countParameters } from "./run/count-parameters.ts";
export { type AnyModel, type ModelChoice, makeModel } from "./run/model.ts";
export { type OptimiserEntry, type OptimiserName, optimisers } from "./run/optimisers.ts";
export { type PreparedRun, prepareRun } from "./run/prepare.ts";
export { type ScheduleEntry, type ScheduleName, schedules } from "./run/schedules.ts";
// Tasks and what they are measured by.
export { grammarText } from "./tasks/grammar.ts";
export { createTask, type TaskContext, type TaskEntry, type TaskName, tasks } from "./tasks/index.ts";
export type { EvalTotals, Metric } from "./tasks/metric.ts";
export type { Batch, EvalOptions, EvalSplit, PairBatch, Task, TaskView } from "./tasks/task.ts";
export { textTask } from "./tasks/text.ts";
export {
  byteTokenizer,
  characterTokenizer,
  type Tokenizer,
  type TokenizerConfig,
  tokenizerFromConfig,
} from "./tokenizers/index.ts";
// Training.
export { suitableMicroBatches } from "./train/accumulate.ts";
export { type AdafactorOptions, adafactor } from "./train/adafactor.ts";
export { type AdamWOptions, adamw } from "./train/adamw.ts";
export {
  type AuxiliaryLossInput,
  type AuxiliaryLossOptions,
  auxiliaryLosses,
  layersOn,
} from "./train/auxiliary-losses.ts";
export { type EarlyStopping, type EarlyStoppingState, earlyStopping } from "./train/early-stopping.ts";
export { type Evaluator, evaluator } from "./train/evaluate.ts";
export { type LionOptions, lion } from "./train/lion.ts";
export { type LossScale, type LossScaleOptions, lossScale } from "./train/loss-scale.ts";
export type { Optimiser, OptimiserState } from "./train/optimiser.ts";
export { constantRate, inverseSquareRoot, type Schedule, warmupCosine } from "./train/schedule.ts";
export { type SgdOptions, sgd } from "./train/sgd.ts";
export { type TrainState, type TrainStep, trainStep } from "./train/step.ts";
export { type TrainEvent, type TrainOptions, type TrainResult, train } from "./train/train.ts";
