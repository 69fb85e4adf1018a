import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { encodeModel, flatten, NDArray, type OnnxModel, safetensorsPieces, type Tensor } from "@tsformers/engine";
import { type FileContents, writeFileAtomic } from "../io/atomic-file.ts";
import { writeFolderAtomic } from "../io/atomic-folder.ts";
import { exportOnnx } from "../io/export-onnx.ts";
import { weightsFile } from "../io/hugging-face/checkpoint-files.ts";
import { tokenizerFiles } from "../io/hugging-face/companions.ts";
import { writeNames } from "../io/hugging-face/names.ts";
import { makeFolder } from "../io/make-folder.ts";
import { evaluation } from "../kinds/layer.ts";
import { type DecisionInput, type DecisionModel, decisionModel } from "../models/agents/decision-model.ts";
import type { TokenizerConfig } from "../tokenizers/index.ts";
import type { RunConfig } from "./config.ts";
import {
  type CheckpointLayout,
  type ExportLayout,
  type ExportLayouts,
  exportLayouts,
  layoutOfRun,
} from "./export-layout.ts";
import { companionFiles, exportMark, ownTokenizerFile, requireExportTarget } from "./export-target.ts";
import type { OpenedModel } from "./open-model.ts";
import { packageVersion } from "./version.ts";

/** Default limit of the rows of a checkpoint's ONNX model: its shapes are fixed, and some checkpoints have 131,072 positions. */
const usualLength = 512;

/**
 * Writes a model's forward pass as an ONNX file, tokens int32 [B, T] to logits [B, T, V]; an encoder-decoder also reads
 * `source` and `source_mask` [B, S]. One that tells mixtures maps `points` float32 [B, T, D] to `mixture` [B, 1, K·(1 + 2·D)], one that tells a number `vectors` [B, T, F] to `told` [B, 1, 1]. One
 * that draws maps `pictures` int32 [B, R, W, K] to `nats` [B, S], −log p of each of its steps. One
 * that acts reads `returns`, `states`, `actions`, `timesteps` and `mask` of T steps, and tells actions as `told`, logits [B, T, count] or numbers [B, T, A]. Shapes are fixed; settings and tokenizer are stored in the file's metadata.
 *
 * @param options.length tokens in a row. Default: the training length; for a checkpoint its own, at most 512
 * @throws ExportTargetError when the path holds something else; RangeError when `length` exceeds the model's learned positions
 */
export async function exportModelOnnx(
  opened: OpenedModel,
  path: string,
  options: { readonly batchSize?: number; readonly length?: number } = {},
): Promise<void> {
  const { model, params, tokenizer, run, checkpoint, directory } = opened;
  const { batchSize = 1, length = run === undefined ? Math.min(opened.length, usualLength) : opened.length } = options;
  const { maxLength = Number.POSITIVE_INFINITY } = model.category === "picture" ? {} : model;
  if (length > maxLength)
    throw new RangeError(
      `export: rows of ${length} tokens are longer than the ${maxLength} positions that this model has learned`,
    );
  await requireExportTarget(path, "file", directory);
  const shape = [batchSize, length];
  const metadata = {
    config: JSON.stringify(run === undefined ? checkpoint?.config : withoutData(run.config)),
    ...(tokenizer !== undefined && { tokenizer: JSON.stringify(tokenizer.config) }),
  };
  const picturesOnly = (weights: never, { pictures }: { pictures: Tensor }) =>
    model.category === "picture" ? model.apply(weights, pictures, evaluation).nats : undefined;
  const isOfTokens = model.category === "decoder" || model.category === "encoder";
  const tokensOnly = (weights: never, { tokens }: { tokens: Tensor }) =>
    !isOfTokens ? undefined : model.apply(weights, { tokens }, evaluation).logits;
  const vectorsOnly = (weights: never, input: Readonly<Record<string, Tensor>>) =>
    !isOfTokens ? undefined : model.apply(weights, { vectors: Object.values(input)[0]! }, evaluation).logits;
  const withSource = (
    weights: never,
    { tokens, source, source_mask: mask }: Record<"tokens" | "source" | "source_mask", Tensor>,
  ) => {
    if (model.category !== "encoder-decoder") return undefined;
    const encoded = model.encode(weights, { tokens: source, mask }, evaluation);
    return model.decode(weights, { tokens, encoded }, evaluation).logits;
  };
  const onnx = (): OnnxModel => {
    if (model.category === "picture") {
      const { rows, columns, channels } = model.shape;
      const pictures = [batchSize, rows, columns, channels];
      return exportOnnx(picturesOnly, params, { pictures }, { metadata, output: "nats" });
    }
    if (run?.task.decisions !== undefined && isOfTokens)
      return exportDecisions(decisionModel("act", model.body, run.task.decisions), params, shape, metadata);
    if (model.category === "encoder-decoder")
      return exportOnnx(withSource, params, { tokens: shape, source: shape, source_mask: shape }, { metadata });
    const { features, quantity } = run?.task ?? {};
    const ofVectors = { metadata, dtype: "float32" } as const;
    if (quantity !== undefined)
      return exportOnnx(
        vectorsOnly,
        params,
        { vectors: [...shape, quantity.features] },
        { ...ofVectors, output: "told" },
      );
    if (features !== undefined)
      return exportOnnx(vectorsOnly, params, { points: [...shape, features] }, { ...ofVectors, output: "mixture" });
    return exportOnnx(tokensOnly, params, { tokens: shape }, { metadata });
  };
  const bytes = encodeModel(onnx());
  makeFolder(dirname(path));
  await writeFileAtomic(path, bytes);
}

/** A model that acts, from parts of episodes to actions. */
function exportDecisions(
  model: DecisionModel,
  params: unknown,
  shape: readonly number[],
  metadata: Readonly<Record<string, string>>,
): OnnxModel {
  const { features, actions } = model;
  const isDiscrete = actions.kind === "discrete";
  const inputs = {
    returns: shape,
    states: [...shape, features],
    actions: isDiscrete ? shape : [...shape, actions.width],
    timesteps: shape,
    mask: shape,
  };
  const told = (weights: unknown, input: DecisionInput) => model.apply(weights, input, evaluation).actions;
  return exportOnnx(told as never, params, inputs, {
    metadata,
    output: "told",
    dtype: { returns: "float32", states: "float32", mask: "float32", actions: isDiscrete ? "int32" : "float32" },
  });
}

/** The forms in which an opened model can be exported. */
export function exportLayoutsOf({ run }: OpenedModel): ExportLayouts {
  return run === undefined ? { safetensors: "hugging-face" } : exportLayouts(run.config);
}

/**
 * Writes a model's parameters as a folder, completely or not at all: in Hugging Face's layout if it has the model,
 * otherwise as the run's own `config.json` and `task.json` with weights under our names. Every command opens both.
 *
 * @returns the layout
 * @throws ExportTargetError when the folder holds something other than an earlier export
 */
export async function exportModelSafetensors(opened: OpenedModel, directory: string): Promise<ExportLayout> {
  await requireExportTarget(directory, "folder", opened.directory);
  const { leaves, paths } = flatten(opened.params, (leaf) => leaf instanceof NDArray);
  const ours = new Map(paths.map((path, i) => [path, leaves[i]!]));
  const { run, checkpoint } = opened;
  const layout =
    checkpoint === undefined ? layoutOfRun(run!) : { config: checkpoint.config, names: checkpoint.architecture.names };
  const files =
    layout === undefined ? ownFiles(run!, ours) : { ...checkpointFiles(layout, ours), ...companions(opened) };
  await writeFolderAtomic(directory, new Map(Object.entries(files)));
  return layout === undefined ? "tsformers" : "hugging-face";
}

type Files = Readonly<Record<string, FileContents>>;

function ownFiles({ config, task, step }: NonNullable<OpenedModel["run"]>, ours: ReadonlyMap<string, NDArray>): Files {
  return {
    "config.json": json(withoutData(config)),
    "task.json": json(task),
    [weightsFile]: safetensorsPieces(ours, { [exportMark]: packageVersion, step: String(step) }),
  };
}

/** Removes the path of the data, which is private and useless on other machines. */
function withoutData({ task: { data, ...task }, ...config }: RunConfig): RunConfig {
  return { ...config, task: task as RunConfig["task"] };
}

function checkpointFiles({ config, names }: CheckpointLayout, ours: ReadonlyMap<string, NDArray>): Files {
  // Weights are read as float32 and written as such; readers take the dtype from the configuration.
  const { dtype, torch_dtype, ...rest } = config;
  return {
    "config.json": json({ ...rest, dtype: "float32" }),
    [weightsFile]: safetensorsPieces(writeNames(names, ours), { format: "pt", [exportMark]: packageVersion }),
  };
}

/** A checkpoint's companion files unchanged, or a run's tokenizer in the form of its kind. */
function companions({ directory, run, tokenizer }: OpenedModel): Files {
  if (run !== undefined) return tokenizer === undefined ? {} : tokenizerContents(tokenizer.config);
  const present = [ownTokenizerFile, ...companionFiles].filter((name) => existsSync(join(directory, name)));
  return Object.fromEntries(present.map((name) => [name, readFileSync(join(directory, name))]));
}

function tokenizerContents(config: TokenizerConfig): Files {
  if (config.kind !== "hugging-face") return { [ownTokenizerFile]: json(config) };
  return { [tokenizerFiles.tokenizer]: json(config.tokenizer), [tokenizerFiles.config]: json(config.config) };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
