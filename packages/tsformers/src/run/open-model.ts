import { existsSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { architectureOf } from "../io/hugging-face/architecture.ts";
import { otherTokenizer, readGenerationSettings, readTokenizer } from "../io/hugging-face/companions.ts";
import { type Checkpoint, loadHuggingFace } from "../io/hugging-face/load.ts";
import { readJsonFile } from "../io/read-json.ts";
import { readTokenizerConfig, type Tokenizer, tokenizerFromConfig } from "../tasks/tokenizer.ts";
import { ownTokenizerFile } from "./export-target.ts";
import { isRunFolder } from "./folder.ts";
import { type LoadedRun, loadRun } from "./load-run.ts";
import { type AnyModel, isCheckpoint, modelOf } from "./model.ts";

/** A model with its parameters, whoever saved them. */
export type OpenedModel = {
  readonly directory: string;
  /** Present when it is a run: its settings, what it keeps of its task, and how many steps were made. */
  readonly run?: Pick<LoadedRun, "config" | "task" | "step">;
  /** Present when it is a checkpoint: its settings, and how its files name arrays. */
  readonly checkpoint?: Pick<Checkpoint, "config" | "architecture" | "ownHead">;
  readonly model: AnyModel;
  readonly params: unknown;
  /** Tokens in a row that it was made for. */
  readonly length: number;
  /** Present where tokens stand for text. */
  readonly tokenizer?: Tokenizer;
  /** Tokens of a whole text, with those that the tokenizer puts before and behind one. Present with a tokenizer. */
  readonly promptTokens?: (text: string) => Int32Array;
  /** Tokens that end what is written. */
  readonly endTokens: readonly number[];
  /** The token that targets begin with, of a model that reads one sequence and writes another. */
  readonly startToken: number;
  /** What its user should hear, such as a damaged checkpoint that was skipped. */
  readonly notes: readonly string[];
};

/**
 * Opens a run's folder, one that was exported, or a checkpoint of Hugging Face's layout, for whatever is done with a model.
 * No data are needed.
 *
 * @throws FileError when it is neither, or a file is damaged; Error when what it holds is not supported
 */
export async function openModel(directory: string): Promise<OpenedModel> {
  return isRunFolder(directory) ? openRun(directory) : openCheckpoint(directory);
}

async function openRun(directory: string): Promise<OpenedModel> {
  const { model, params, tokenizer, config, task, step, problems } = await loadRun(directory);
  const started = isCheckpoint(config.model) ? architectureOf(config.model) : undefined;
  return {
    directory,
    run: { config, task, step },
    model,
    params,
    length: config.length,
    ...(await writing(tokenizer)),
    endTokens: started?.endTokens ?? [],
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
    // Published defaults belong to published vocabularies; this one may be smaller.
    endTokens: endTokens.filter((token) => token < model.vocabularySize),
    startToken: startToken ?? architecture.startToken ?? 0,
    notes: tokenizer === undefined ? [...notes, ...otherTokenizer(directory)] : notes,
  };
}

/** A tokenizer, and how prompts are told apart from other texts. */
async function writing(tokenizer: Tokenizer | undefined): Promise<Pick<OpenedModel, "tokenizer" | "promptTokens">> {
  if (tokenizer === undefined) return {};
  if (tokenizer.config.kind !== "hugging-face") return { tokenizer, promptTokens: (text) => tokenizer.encode(text) };
  const { promptTokens } = await import("../io/hugging-face/tokenizer.ts");
  return { tokenizer, promptTokens: (text) => promptTokens(tokenizer, text) };
}

async function readOwnTokenizer(directory: string): Promise<Tokenizer | undefined> {
  const path = join(directory, ownTokenizerFile);
  return existsSync(path) ? tokenizerFromConfig(readTokenizerConfig(readJsonFile(path, z.unknown()), path)) : undefined;
}
