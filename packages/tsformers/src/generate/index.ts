// Writing: a decoder reads and continues, position by position; samplers and beams choose.

export { capacityFor } from "./decode-cache.ts";
export { openDecoder } from "./decoder.ts";
export type { Decoder, DecoderOptions } from "./decoding.ts";
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
} from "./generate.ts";
export { LogitsError, mostLikely, type SamplingOptions, sample } from "./sampling.ts";
export { type BeamOptions, type Hypothesis, openSequenceDecoder, type SequenceDecoder } from "./sequence-decoder.ts";
