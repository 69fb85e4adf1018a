// Writing: a decoder reads and continues, position by position; samplers and beams choose.

export type { BeamOptions, Hypothesis } from "./beam-search.ts";
export { capacityFor } from "./decode-cache.ts";
export { openDecoder } from "./decoder.ts";
export type { Decoder, DecoderOptions, RowsDecoder } from "./decoding.ts";
export {
  type Ending,
  encodePrompt,
  type GenerateOptions,
  generate,
  generateRows,
  generateText,
  PromptError,
  type RowToken,
  type TextCoder,
  type TextOptions,
  textOf,
  type Written,
} from "./generate.ts";
export { LogitsError, mostLikely, type SamplingOptions, sample } from "./sampling.ts";
export { type ManyOptions, openSequenceDecoder, type SequenceDecoder } from "./sequence-decoder.ts";
