import type { Concrete } from "@tsformers/engine";
import { loadHuggingFace } from "../io/hugging-face/load.ts";
import { type DecisionModel, decisionModel } from "../models/agents/decision-model.ts";
import { ConfigError } from "./config-error.ts";
import { isRunFolder } from "./folder.ts";
import { loadRun } from "./load-run.ts";
import { makeModel } from "./model.ts";

/** A model that acts, and its parameters. */
export type OpenedDecider = {
  readonly model: DecisionModel;
  readonly params: Concrete<unknown>;
  /** K, the steps that it was trained to read; of a checkpoint the paper's 20. */
  readonly length: number;
};

/**
 * Opens what `decide` lets act: the folder of a run that learned from trajectories, or a Decision Transformer's checkpoint in Hugging Face's layout. The
 * latter reads states and returns as they are given, and tells actions between −1 and 1.
 *
 * @throws FileError when the folder is neither, or a file is damaged; ConfigError when its model does not act
 */
export async function openDecider(directory: string): Promise<OpenedDecider> {
  const refused = `${directory}: its model does not act; expected a run on task trajectories, or a Decision Transformer`;
  if (!isRunFolder(directory)) {
    const { architecture, params } = await loadHuggingFace(directory);
    if (architecture.category !== "decisions") throw new ConfigError(refused);
    return { model: architecture.model as DecisionModel, params, length: 20 };
  }
  const { config, task, params } = await loadRun(directory);
  if (config.objective?.kind !== "act") throw new ConfigError(refused);
  const made = await makeModel(config, task.vocabularySize);
  if (made.category === "encoder-decoder" || made.category === "picture") throw new ConfigError(refused);
  const model = decisionModel(config.model.kind, made.body, task.decisions!) as DecisionModel;
  return { model, params: params as Concrete<unknown>, length: config.length };
}
