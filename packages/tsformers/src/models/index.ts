// Published systems: one line each, then what systems are put together from.

export {
  type DecisionInput,
  type DecisionModel,
  type DecisionOptions,
  type DecisionOutput,
  type DecisionParams,
  decisionModel,
} from "./agents/decision-model.ts";
export {
  type DecisionTransformerOptions,
  type DecisionTransformerSettings,
  decisionTransformer,
  decisionTransformerEntry,
  decisionTransformerParts,
} from "./agents/decision-transformer.ts";
export { type DecoderParams, type DecoderParts, decoder } from "./decoder.ts";
export {
  type AdaptiveSpanTransformerOptions,
  type AdaptiveSpanTransformerSettings,
  adaptiveSpanTransformer,
  adaptiveSpanTransformerEntry,
  adaptiveSpanTransformerParts,
} from "./decoders/adaptive-span-transformer.ts";
export {
  type AlRfouOptions,
  type AlRfouParams,
  type AlRfouSettings,
  alRfou,
  alRfouEntry,
  alRfouParts,
} from "./decoders/al-rfou.ts";
export { type BloomOptions, bloom, bloomEntry, bloomParts } from "./decoders/bloom.ts";
export {
  type CompressiveTransformerOptions,
  type CompressiveTransformerSettings,
  compressiveTransformer,
  compressiveTransformerEntry,
  compressiveTransformerParts,
} from "./decoders/compressive-transformer.ts";
export { type CtrlOptions, type CtrlSettings, ctrl, ctrlEntry, ctrlParts } from "./decoders/ctrl.ts";
export { type Gemma2Options, type Gemma2Settings, gemma2, gemma2Entry, gemma2Parts } from "./decoders/gemma2.ts";
export {
  type GptBlockParams,
  type GptOptions,
  type GptParams,
  type GptSettings,
  gpt,
  gptEntry,
  gptParts,
} from "./decoders/gpt.ts";
export { type GptNeoXOptions, type GptNeoXSettings, gptNeoX, gptNeoXEntry, gptNeoXParts } from "./decoders/gpt-neox.ts";
export { type GptJOptions, type GptJSettings, gptJ, gptJEntry, gptJParts } from "./decoders/gptj.ts";
export { type GtrxlOptions, type GtrxlSettings, gtrxl, gtrxlEntry, gtrxlParts } from "./decoders/gtrxl.ts";
export { type LlamaOptions, type LlamaSettings, llama, llamaEntry, llamaParts } from "./decoders/llama.ts";
export {
  type MemorizingTransformerOptions,
  type MemorizingTransformerSettings,
  memorizingTransformer,
  memorizingTransformerEntry,
  memorizingTransformerParts,
} from "./decoders/memorizing-transformer.ts";
export { type MistralOptions, type MistralSettings, mistral, mistralEntry, mistralParts } from "./decoders/mistral.ts";
export { type MptOptions, mpt, mptEntry, mptParts } from "./decoders/mpt.ts";
export {
  type OpenAiGptOptions,
  type OpenAiGptSettings,
  openAiGpt,
  openAiGptEntry,
  openAiGptParts,
} from "./decoders/openai-gpt.ts";
export { type Qwen3Options, type Qwen3Settings, qwen3, qwen3Entry, qwen3Parts } from "./decoders/qwen3.ts";
export {
  type DeltaSizes,
  type Qwen3NextOptions,
  type Qwen3NextSettings,
  qwen3Next,
  qwen3NextEntry,
  qwen3NextParts,
} from "./decoders/qwen3-next.ts";
export {
  type ReformerAttention,
  type ReformerOptions,
  type ReformerSettings,
  reformer,
  reformerEntry,
  reformerParts,
} from "./decoders/reformer.ts";
export {
  gatedMemory,
  type SpalmOptions,
  type SpalmParams,
  type SpalmSettings,
  spalm,
  spalmEntry,
  spalmParts,
} from "./decoders/spalm.ts";
export {
  type SparseTransformerOptions,
  type SparseTransformerSettings,
  sparseTransformer,
  sparseTransformerEntry,
  sparseTransformerParts,
} from "./decoders/sparse-transformer.ts";
export { type TDmcaOptions, type TDmcaSettings, tDmca, tDmcaEntry, tDmcaParts } from "./decoders/t-dmca.ts";
export {
  type TransformerXlOptions,
  type TransformerXlSettings,
  transformerXl,
  transformerXlEntry,
  transformerXlParts,
} from "./decoders/transformer-xl.ts";
export {
  type RecurrenceOptions,
  type RecurrentParams,
  type UniversalTransformerOptions,
  type UniversalTransformerSettings,
  universalTransformer,
  universalTransformerEntry,
  universalTransformerParts,
} from "./decoders/universal-transformer.ts";
export {
  type XlnetOptions,
  type XlnetParams,
  type XlnetSettings,
  xlnet,
  xlnetEntry,
} from "./decoders/xlnet.ts";
export { type EncoderParams, type EncoderParts, encoder } from "./encoder.ts";
export {
  type DecoderDepth,
  type EncoderDecoderParams,
  type EncoderDecoderParts,
  encoderDecoder,
} from "./encoder-decoder.ts";
export { type CalmOptions, type CalmSettings, calm, calmEntry } from "./encoder-decoders/calm.ts";
export {
  type DepthAdaptiveOptions,
  type DepthAdaptiveTransformerOptions,
  type DepthAdaptiveTransformerSettings,
  depthAdaptiveTransformer,
  depthAdaptiveTransformerEntry,
} from "./encoder-decoders/depth-adaptive-transformer.ts";
export { type LedOptions, type LedSettings, led, ledEntry, ledParts } from "./encoder-decoders/led.ts";
export {
  type LongT5Options,
  type LongT5Settings,
  longT5,
  longT5Entry,
  longT5Parts,
} from "./encoder-decoders/longt5.ts";
export { type T5Options, type T5Settings, t5, t5Entry, t5Parts } from "./encoder-decoders/t5.ts";
export {
  type Arrangement,
  postNorm,
  preNorm,
  type TransformerOptions,
  type TransformerSettings,
  transformer,
  transformerEntry,
  transformerParts,
} from "./encoder-decoders/transformer.ts";
export {
  type UniversalEncoderDecoderOptions,
  type UniversalEncoderDecoderSettings,
  universalEncoderDecoder,
  universalEncoderDecoderEntry,
  universalEncoderDecoderParts,
} from "./encoder-decoders/universal-encoder-decoder.ts";
export {
  type AlbertOptions,
  type AlbertParams,
  type AlbertSettings,
  albert,
  albertEntry,
  albertParts,
} from "./encoders/albert.ts";
export {
  type BertBlockParams,
  type BertOptions,
  type BertParams,
  type BertPreTrainingParams,
  type BertSettings,
  bert,
  bertEntry,
  bertForPreTraining,
  bertParts,
} from "./encoders/bert.ts";
export {
  type BigBirdOptions,
  type BigBirdSettings,
  bigbird,
  bigbirdEntry,
  bigbirdForPreTraining,
  bigbirdParts,
} from "./encoders/bigbird.ts";
export { type EtcModel, type EtcOptions, type EtcParams, type EtcSettings, etc, etcEntry } from "./encoders/etc.ts";
export {
  type LongformerOptions,
  type LongformerParams,
  type LongformerSettings,
  longformer,
  longformerEntry,
  longformerParts,
} from "./encoders/longformer.ts";
export {
  type RoFormerOptions,
  type RoformerSettings,
  roformer,
  roformerEntry,
  roformerParts,
} from "./encoders/roformer.ts";
export {
  type SetTransformerOptions,
  type SetTransformerParams,
  type SetTransformerSettings,
  setTransformer,
  setTransformerEntry,
  setTransformerParts,
} from "./encoders/set-transformer.ts";
export type {
  LanguageModel,
  LanguageModelOutput,
  RowContent,
  TokenBody,
  TokenModel,
  TokensInput,
} from "./language-model.ts";
export type {
  DecoderEntry,
  EncoderDecoderEntry,
  EncoderEntry,
  ModelEntry,
  ModelParts,
  PartName,
  PictureEntry,
  StackSettings,
} from "./model-entry.ts";
export {
  type AxialTransformer,
  type AxialTransformerOptions,
  type AxialTransformerParams,
  type AxialTransformerSettings,
  axialTransformer,
  axialTransformerEntry,
} from "./pictures/axial-transformer.ts";
export {
  type ImageTransformerOptions,
  type ImageTransformerSettings,
  imageTransformer,
  imageTransformerEntry,
} from "./pictures/image-transformer.ts";
export type {
  DecodeInput,
  DecodeOutput,
  EncodeInput,
  EncodeOutput,
  SequenceToSequence,
} from "./sequence-to-sequence.ts";
export { hasSummaries, type SummaryModel, type SummaryOutput } from "./summaries.ts";
export { hasTwoStreams, type Prediction, type TwoStreamModel, type TwoStreamOutput } from "./two-streams.ts";
export { vectorFront, type WithFront } from "./vector-front.ts";
export { withLogits } from "./with-logits.ts";
