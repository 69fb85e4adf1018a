// Reading and writing files of others: texts, arrays, checkpoints, ONNX. Runs in Node only.

export { exportOnnx } from "./export-onnx.ts";
export { FileError } from "./file-error.ts";
export { type LoadedCheckpoint, loadHuggingFace } from "./hugging-face/load.ts";
export { type Llama2cConfig, type Llama2cTokenizer, readLlama2c, readLlama2cTokenizer } from "./llama2c.ts";
export { openText, readText, type TextSource } from "./read-text.ts";
export { type OpenSafetensors, openSafetensorsFile, readSafetensorsFile } from "./safetensors-file.ts";
export { NotText, type TextPiece } from "./text-decoding.ts";
export {
  readTraxLanguageModel,
  readTraxTransformer,
  type TraxOptions,
  traxLanguageModel,
  traxTransformer,
} from "./trax.ts";
