import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { architectureOf } from "../io/hugging-face/architecture.ts";
import { otherTokenizer, readGenerationSettings, readTokenizer } from "../io/hugging-face/companions.ts";
import { type LoadedCheckpoint, loadHuggingFace } from "../io/hugging-face/load.ts";
import { readJsonFile } from "../io/read-json.ts";
import type { SpanParams } from "../models/language-model.ts";
import { readTokenizerConfig, type Tokenizer, tokenizerFromConfig } from "../tokenizers/index.ts";
import { ownTokenizerFile } from "./export-target.ts";
import { isRunFolder } from "./folder.ts";
import { type LoadedRun, loadRun } from "./load-run.ts";
import { type AnyModel, isCheckpoint, modelOf } from "./model.ts";

/** A model with its parameters, from a run, an export or a checkpoint. */
export type OpenedModel = {
  readonly directory: string;
  /** Present if it is a run: its settings, the record of its task, and the number of steps made. */
  readonly run?: Pick<LoadedRun, "config" | "task" | "step">;
  /** Present if it is a checkpoint: its settings, and how its files name arrays. */
  readonly checkpoint?: Pick<LoadedCheckpoint, "config" | "architecture" | "ownHead">;
  readonly model: AnyModel;
  readonly params: unknown;
  /** Length of rows that the model was trained for. */
  readonly length: number;
  /** Present if tokens represent text. */
  readonly tokenizer?: Tokenizer;
  /** Tokens of a whole text, including those that the tokenizer adds around one. Present with a tokenizer. */
  readonly promptTokens?: (text: string) => Int32Array;
  /** Tokens that end generated sequences. */
  readonly endTokens: readonly number[];
  /** First token of targets, for an encoder-decoder. */
  readonly startToken: number;
  /** Notes for the user, for example that a damaged checkpoint was skipped. */
  readonly notes: readonly string[];
};

/**
 * Opens a run's folder, an exported one, or a checkpoint in Hugging Face's layout. All commands that use a model open it by this.
 * The run's data are not needed.
 *
 * @throws FileError when it is neither, or a file is damaged; Error when what it holds is not supported
 */
export async function openModel(directory: string): Promise<OpenedModel> {
  return isRunFolder(directory) ? openRun(directory) : openCheckpoint(directory);
}

async function openRun(directory: string): Promise<OpenedModel> {
  const { model: whole, params, tokenizer, config, task, step, problems } = await loadRun(directory);
  const model = trimmedTo(params, whole);
  const started = isCheckpoint(config.model) ? architectureOf(config.model) : undefined;
  return {
    directory,
    run: { config, task, step },
    model,
    params,
    length: config.length,
    ...(await writing(tokenizer)),
    endTokens: task.endToken === undefined ? (started?.endTokens ?? []) : [task.endToken],
    startToken: task.startToken ?? started?.startToken ?? 0,
    notes: problems.map(({ message }) => `a damaged checkpoint was skipped: ${message}`),
  };
}

async function openCheckpoint(directory: string): Promise<OpenedModel> {
  const { config, architecture, ownHead, params, notes } = await loadHuggingFace(directory);
  const model = modelOf(architecture, directory);
  const { endTokens = architecture.endTokens ?? [], startToken } = readGenerationSettings(directory);
  const tokenizer = (await readOwnTokenizer(directory)) ?? (await readTokenizer(directory));
  return {
    directory,
    checkpoint: { config, architecture, ownHead },
    model,
    params,
    length: architecture.length ?? 2048,
    ...(await writing(tokenizer)),
    // Default end tokens come from the published vocabulary; this one may be smaller.
    endTokens: endTokens.filter((token) => token < model.vocabularySize),
    startToken: startToken ?? architecture.startToken ?? 0,
    notes: tokenizer === undefined ? [...notes, ...otherTokenizer(directory)] : notes,
  };
}

/** The model without what its heads have learned not to see: the same outputs in less time. */
function trimmedTo(params: unknown, model: AnyModel): AnyModel {
  if (model.category === "encoder-decoder" || model.category === "picture" || model.trimmed === undefined) return model;
  return { ...model.trimmed(model.spans!(params as SpanParams)), category: model.category } as AnyModel;
}

/** A tokenizer, and the function that encodes prompts with its special tokens. */
async function writing(tokenizer: Tokenizer | undefined): Promise<Pick<OpenedModel, "tokenizer" | "promptTokens">> {
  if (tokenizer === undefined) return {};
  if (tokenizer.config.kind !== "hugging-face") return { tokenizer, promptTokens: (text) => tokenizer.encode(text) };
  const { promptTokens } = await import("../tokenizers/hugging-face.ts");
  return { tokenizer, promptTokens: (text) => promptTokens(tokenizer, text) };
}

async function readOwnTokenizer(directory: string): Promise<Tokenizer | undefined> {
  const path = join(directory, ownTokenizerFile);
  return existsSync(path) ? tokenizerFromConfig(readTokenizerConfig(readJsonFile(path, z.unknown()), path)) : undefined;
}
