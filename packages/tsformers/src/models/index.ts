// Published systems: one line each, then what systems are put together from.

export {
  type AdaptiveSpanTransformerOptions,
  type AdaptiveSpanTransformerSettings,
  adaptiveSpanTransformer,
  adaptiveSpanTransformerEntry,
  adaptiveSpanTransformerParts,
} from "./adaptive-span-transformer.ts";
export {
  type AlRfouOptions,
  type AlRfouParams,
  type AlRfouSettings,
  alRfou,
  alRfouEntry,
  alRfouParts,
} from "./al-rfou.ts";
export {
  type AlbertOptions,
  type AlbertParams,
  type AlbertSettings,
  albert,
  albertEntry,
  albertParts,
} from "./albert.ts";
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
} from "./bert.ts";
export {
  type BigBirdOptions,
  type BigBirdSettings,
  bigbird,
  bigbirdEntry,
  bigbirdForPreTraining,
  bigbirdParts,
} from "./bigbird.ts";
export { type BloomOptions, bloom, bloomEntry, bloomParts } from "./bloom.ts";
export { type CalmOptions, type CalmSettings, calm, calmEntry } from "./calm.ts";
export {
  type CompressiveTransformerOptions,
  type CompressiveTransformerSettings,
  compressiveTransformer,
  compressiveTransformerEntry,
  compressiveTransformerParts,
} from "./compressive-transformer.ts";
export { type CtrlOptions, type CtrlSettings, ctrl, ctrlEntry, ctrlParts } from "./ctrl.ts";
export {
  type DecisionInput,
  type DecisionModel,
  type DecisionOptions,
  type DecisionOutput,
  type DecisionParams,
  decisionModel,
} from "./decision-model.ts";
export {
  type DecisionTransformerOptions,
  type DecisionTransformerSettings,
  decisionTransformer,
  decisionTransformerEntry,
  decisionTransformerParts,
} from "./decision-transformer.ts";
export { type DecoderParams, type DecoderParts, decoder } from "./decoder.ts";
export {
  type DepthAdaptiveOptions,
  type DepthAdaptiveTransformerOptions,
  type DepthAdaptiveTransformerSettings,
  depthAdaptiveTransformer,
  depthAdaptiveTransformerEntry,
} from "./depth-adaptive-transformer.ts";
export { type EncoderParams, type EncoderParts, encoder } from "./encoder.ts";
export {
  type DecoderDepth,
  type EncoderDecoderParams,
  type EncoderDecoderParts,
  encoderDecoder,
} from "./encoder-decoder.ts";
export {
  type GptBlockParams,
  type GptOptions,
  type GptParams,
  type GptSettings,
  gpt,
  gptEntry,
  gptParts,
} from "./gpt.ts";
export { type GptNeoXOptions, type GptNeoXSettings, gptNeoX, gptNeoXEntry, gptNeoXParts } from "./gpt-neox.ts";
export { type GptJOptions, type GptJSettings, gptJ, gptJEntry, gptJParts } from "./gptj.ts";
export { type GtrxlOptions, type GtrxlSettings, gtrxl, gtrxlEntry, gtrxlParts } from "./gtrxl.ts";
export type {
  LanguageModel,
  LanguageModelOutput,
  RowContent,
  TokenBody,
  TokenModel,
  TokensInput,
} from "./language-model.ts";
export { type LedOptions, type LedSettings, led, ledEntry, ledParts } from "./led.ts";
export { type LlamaOptions, type LlamaSettings, llama, llamaEntry, llamaParts } from "./llama.ts";
export {
  type LongformerOptions,
  type LongformerParams,
  type LongformerSettings,
  longformer,
  longformerEntry,
  longformerParts,
} from "./longformer.ts";
export {
  type MemorizingTransformerOptions,
  type MemorizingTransformerSettings,
  memorizingTransformer,
  memorizingTransformerEntry,
  memorizingTransformerParts,
} from "./memorizing-transformer.ts";
export type {
  DecoderEntry,
  EncoderDecoderEntry,
  EncoderEntry,
  ModelEntry,
  ModelParts,
  PartName,
  StackSettings,
} from "./model-entry.ts";
export { type MptOptions, mpt, mptEntry, mptParts } from "./mpt.ts";
export {
  type OpenAiGptOptions,
  type OpenAiGptSettings,
  openAiGpt,
  openAiGptEntry,
  openAiGptParts,
} from "./openai-gpt.ts";
export { type ReformerOptions, type ReformerSettings, reformer, reformerEntry, reformerParts } from "./reformer.ts";
export { type RoFormerOptions, type RoformerSettings, roformer, roformerEntry, roformerParts } from "./roformer.ts";
export type {
  DecodeInput,
  DecodeOutput,
  EncodeInput,
  EncodeOutput,
  SequenceToSequence,
} from "./sequence-to-sequence.ts";
export {
  gatedMemory,
  type SpalmOptions,
  type SpalmParams,
  type SpalmSettings,
  spalm,
  spalmEntry,
  spalmParts,
} from "./spalm.ts";
export { type T5Options, type T5Settings, t5, t5Entry, t5Parts } from "./t5.ts";
export {
  type Arrangement,
  postNorm,
  preNorm,
  type TransformerOptions,
  type TransformerSettings,
  transformer,
  transformerEntry,
  transformerParts,
} from "./transformer.ts";
export {
  type TransformerXlOptions,
  type TransformerXlSettings,
  transformerXl,
  transformerXlEntry,
  transformerXlParts,
} from "./transformer-xl.ts";
export { hasTwoStreams, type Prediction, type TwoStreamModel, type TwoStreamOutput } from "./two-streams.ts";
export {
  type UniversalEncoderDecoderOptions,
  type UniversalEncoderDecoderSettings,
  universalEncoderDecoder,
  universalEncoderDecoderEntry,
  universalEncoderDecoderParts,
} from "./universal-encoder-decoder.ts";
export {
  type RecurrenceOptions,
  type RecurrentParams,
  type UniversalTransformerOptions,
  type UniversalTransformerSettings,
  universalTransformer,
  universalTransformerEntry,
  universalTransformerParts,
} from "./universal-transformer.ts";
export { vectorFront, type WithFront } from "./vector-front.ts";
export { withLogits } from "./with-logits.ts";
export {
  type XlnetOptions,
  type XlnetParams,
  type XlnetSettings,
  xlnet,
  xlnetEntry,
} from "./xlnet.ts";
