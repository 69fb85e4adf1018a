// What most programs need: a GPT, a text to learn, training, and writing. Everything else has a subpath of its own.

export { createTask } from "./catalogue/tasks.ts";
export {
  type Decoder,
  type DecoderOptions,
  type GenerateOptions,
  generate,
  generateText,
  openDecoder,
  type TextOptions,
} from "./generate/index.ts";
export { type Context, evaluation } from "./kinds/layer.ts";
export { type GptOptions, gpt } from "./models/decoders/gpt.ts";
export type { LanguageModel } from "./models/language-model.ts";
export { type Objective, tokenObjective } from "./objectives/index.ts";
export { grammarText, type Task, textTask } from "./tasks/index.ts";
export { byteTokenizer, characterTokenizer, type Tokenizer } from "./tokenizers/index.ts";
export {
  type AdamWOptions,
  adamw,
  constantRate,
  type Optimiser,
  type Schedule,
  type TrainEvent,
  type TrainOptions,
  type TrainResult,
  train,
  warmupCosine,
} from "./train/index.ts";
