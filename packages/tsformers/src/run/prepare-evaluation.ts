import { existsSync } from "node:fs";
import type { Task } from "../tasks/task.ts";
import type { RunConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import type { OpenedModel } from "./open-model.ts";
import { asReported, type Reading, readingOf, taskOf } from "./prepare.ts";
import { requireOwnTokens, requireSameData } from "./task-record.ts";

/** What a model is evaluated on. */
export type EvaluationChoice = {
  readonly config: Pick<RunConfig, "task" | "length" | "seed">;
  /** Whether a run may be evaluated on data other than its own. */
  readonly otherData: boolean;
};

/**
 * Makes the task that a model is evaluated on, read with the model's own tokenizer.
 *
 * @throws ConfigError when data are missing, or are not those of the run; Error when the model cannot read the task
 */
export async function prepareEvaluation(
  { directory, run, model, tokenizer }: OpenedModel,
  { config, otherData }: EvaluationChoice,
): Promise<Reading & { readonly task: Task }> {
  const { data } = config.task;
  if (run !== undefined && typeof data === "string" && !existsSync(data))
    throw new ConfigError(`${directory}: its data are no longer at ${data}; give their present path by --data`);
  const task = await taskOf(config, tokenizer === undefined ? {} : { tokenizer });
  if (run !== undefined && !otherData) requireSameData(directory, run.task, task);
  if (run === undefined) requireOwnTokens(directory, tokenizer, task);
  const reading = readingOf(task, model, { name: directory, objective: run?.config.objective });
  return { task: asReported(task, reading), ...reading };
}
