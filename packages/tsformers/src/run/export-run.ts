import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { encodeModel, encodeSafetensors, flatten, NDArray, type Tensor } from "@tsformers/engine";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { exportOnnx } from "../io/export-onnx.ts";
import { formats } from "../io/hugging-face/formats.ts";
import { writeNames } from "../io/hugging-face/names.ts";
import { configWriters, type ModelSizes } from "../io/hugging-face/write-config.ts";
import { type ModelName, models } from "../models/index.ts";
import { evaluation } from "../nn/layer.ts";
import type { LoadedRun } from "./load-run.ts";
import { tokenizerFile } from "./open-model.ts";

/**
 * Writes a run's forward pass as an ONNX file, tokens int32 [B, T] to logits [B, T, V]; an encoder-decoder also reads
 * `source` and `source_mask` [B, S]. Extents are fixed; the tokenizer travels in the file's metadata.
 */
export async function exportRunOnnx(
  { model, task, config, params }: LoadedRun,
  path: string,
  { batchSize = 1, length = config.length }: { readonly batchSize?: number; readonly length?: number } = {},
): Promise<void> {
  const shape = [batchSize, length];
  const metadata = {
    config: JSON.stringify(config),
    ...(task.tokenizer !== undefined && { tokenizer: JSON.stringify(task.tokenizer) }),
  };
  const tokensOnly = (weights: never, { tokens }: { tokens: Tensor }) =>
    model.category === "encoder-decoder" ? undefined : model.apply(weights, { tokens }, evaluation).logits;
  const withSource = (
    weights: never,
    { tokens, source, source_mask: mask }: Record<"tokens" | "source" | "source_mask", Tensor>,
  ) => {
    if (model.category !== "encoder-decoder") return undefined;
    const encoded = model.encode(weights, { tokens: source, mask }, evaluation);
    return model.decode(weights, { tokens, encoded }, evaluation).logits;
  };
  const onnx =
    model.category === "encoder-decoder"
      ? exportOnnx(withSource, params, { tokens: shape, source: shape, source_mask: shape }, { metadata })
      : exportOnnx(tokensOnly, params, { tokens: shape }, { metadata });
  mkdirSync(dirname(path), { recursive: true });
  await writeFileAtomic(path, encodeModel(onnx));
}

/**
 * Writes a run's parameters as a directory with `config.json` and `model.safetensors`: in Hugging Face's layout where it
 * has the model, otherwise under our own names, with the run's configuration.
 *
 * @returns which of the two
 */
export async function exportRunSafetensors(
  { config, task, params }: LoadedRun,
  directory: string,
): Promise<"hugging-face" | "tsformers"> {
  const { leaves, paths } = flatten(params, (leaf) => leaf instanceof NDArray);
  const ours = new Map(paths.map((path, i) => [path, leaves[i]!]));
  const { kind, ...chosen } = config.model;
  const options = models[kind as ModelName].options.parse({
    ...chosen,
    vocabularySize: task.vocabularySize,
  }) as ModelSizes;
  // GPT-2 has learned positions; with any other scheme it is not GPT-2.
  const own = config.position === undefined || (kind === "gpt" && config.position.kind === "learned");
  const written = own ? configWriters[kind]?.({ ...options, length: config.length }) : undefined;
  mkdirSync(directory, { recursive: true });
  const write = (name: string, data: Uint8Array | string) => writeFileAtomic(join(directory, name), data);
  if (task.tokenizer !== undefined) await write(tokenizerFile, `${JSON.stringify(task.tokenizer)}\n`);
  if (written === undefined) {
    await write("config.json", `${JSON.stringify({ model_type: "tsformers", ...config }, null, 2)}\n`);
    await write("model.safetensors", encodeSafetensors(ours));
    return "tsformers";
  }
  const format = formats.find(({ modelType }) => modelType === written.model_type)!;
  const { names } = format.build(written, { has: () => false, ownHead: false });
  await write("config.json", `${JSON.stringify(written, null, 2)}\n`);
  await write("model.safetensors", encodeSafetensors(writeNames(names, ours), { format: "pt" }));
  return "hugging-face";
}
