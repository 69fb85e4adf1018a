import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadHuggingFace } from "../io/hugging-face/load.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { type Tokenizer, type TokenizerConfig, tokenizerFromConfig } from "../tasks/tokenizer.ts";
import { isRunFolder } from "./folder.ts";
import { type LoadedRun, loadRun } from "./load-run.ts";
import type { AnyModel } from "./model.ts";

/** The file beside a Hugging Face checkpoint in which `tsformers export` leaves its tokenizer. */
export const tokenizerFile = "tsformers-tokenizer.json";

/** A model with its parameters, whoever saved them. */
export type OpenedModel = {
  readonly directory: string;
  /** Present when it is a run: its settings, what it keeps of its task, and how many steps were made. */
  readonly run?: Pick<LoadedRun, "config" | "task" | "step">;
  readonly model: AnyModel;
  readonly params: unknown;
  /** Present where tokens stand for text. */
  readonly tokenizer?: Tokenizer;
  /** Tokens that end what is written. */
  readonly endTokens: readonly number[];
  /** The token that targets begin with, of a model that reads one sequence and writes another. */
  readonly startToken: number;
  /** What its user should hear, such as a damaged checkpoint that was skipped. */
  readonly notes: readonly string[];
};

/**
 * Opens a run's folder, or a checkpoint of Hugging Face's layout, for whatever is done with a model. No data are needed.
 *
 * @throws Error when it is neither, or what it holds is damaged or not supported
 */
export async function openModel(directory: string): Promise<OpenedModel> {
  return isRunFolder(directory) ? openRun(directory) : openCheckpoint(directory);
}

async function openRun(directory: string): Promise<OpenedModel> {
  const { model, params, tokenizer, config, task, step, problems } = await loadRun(directory);
  return {
    directory,
    run: { config, task, step },
    model,
    params,
    ...(tokenizer !== undefined && { tokenizer }),
    endTokens: [],
    startToken: task.startToken ?? 0,
    notes: problems.map(({ message }) => `a damaged checkpoint was skipped: ${message}`),
  };
}

async function openCheckpoint(directory: string): Promise<OpenedModel> {
  const { architecture, params } = await loadHuggingFace(directory);
  const path = join(directory, tokenizerFile);
  const tokenizer = existsSync(path)
    ? tokenizerFromConfig(JSON.parse(readFileSync(path, "utf8")) as TokenizerConfig)
    : undefined;
  return {
    directory,
    model: withCategory(architecture.model),
    params,
    ...(tokenizer !== undefined && { tokenizer }),
    endTokens: [],
    startToken: 0,
    notes: [],
  };
}

function withCategory(model: unknown): AnyModel {
  const parts = model as Partial<LanguageModel & SequenceToSequence>;
  const category =
    parts.encode !== undefined ? "encoder-decoder" : parts.emptyCache !== undefined ? "decoder" : "encoder";
  return { ...parts, category } as AnyModel;
}
