import type { NDArray } from "@tsformers/engine";
import { type ModelName, models } from "../catalogue/models.ts";
import { createTask } from "../catalogue/tasks.ts";
import {
  answerSizes,
  makeObjective,
  type ObjectiveName,
  objectives,
  requireObjective,
  usualObjective,
} from "../objectives/index.ts";
import type { Objective } from "../objectives/objective.ts";
import { present } from "../schema/present.ts";
import type { TaskContext } from "../tasks/index.ts";
import type { Task, TaskView } from "../tasks/task.ts";
import type { Choice } from "./catalogue.ts";
import type { RunConfig } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { type AnyModel, asTrained, makeModel } from "./model.ts";

/** A batch of any form. */
export type AnyBatch = Readonly<Record<string, NDArray>>;

/** A task in the form that a model reads, and the model with its objective. */
export type Reading = {
  /** Which objective it is. */
  readonly kind: ObjectiveName;
  readonly model: AnyModel;
  readonly objective: Objective<unknown, AnyBatch>;
  readonly view: TaskView<AnyBatch>;
};

/** A configuration with its task and model built. */
export type PreparedRun = Reading & {
  /** With `length` and `objective` filled in. */
  readonly config: RunConfig & { readonly length: number };
  readonly task: Task;
};

/**
 * Builds the task and the model of a configuration.
 *
 * @param options.tokenizer the tokenizer of a resumed run, which is kept even if the data have changed
 * @param options.text the text of the task's data, if it was read already
 * @param options.task the task, if it was made already
 * @throws ConfigError when the model cannot learn the task, saying what it would need
 */
export async function prepareRun(
  config: RunConfig,
  options: Pick<TaskContext, "tokenizer" | "text"> & { readonly task?: Task } = {},
): Promise<PreparedRun> {
  const task = options.task ?? (await taskOf(config, options));
  const full = { ...config, length: task.length };
  const model = await makeModel(full, vocabularyOf(task, objectiveOf(config)));
  const reading = readingOf(task, model, { ...config, name: config.model.kind });
  return {
    task: asReported(task, reading),
    ...reading,
    config: { ...full, objective: { ...config.objective, kind: reading.kind } },
  };
}

/**
 * What decides the size of the vocabulary, before the model is built: encoders have a token for hidden ones wherever the task can hide some,
 * so that a run that tells classes can start from one that filled in.
 */
function objectiveOf({ objective, model }: RunConfig): string | undefined {
  if (objective?.kind === "next-sentence") return objective.kind;
  return models[model.kind as ModelName]?.category === "encoder" ? "masked" : objective?.kind;
}

/** The task with the metrics of the view that is read. */
export function asReported(task: Task, { view: { metrics = task.metrics } }: Pick<Reading, "view">): Task {
  return { ...task, metrics };
}

/** Size of the vocabulary that a model needs for an objective. */
export function vocabularyOf({ vocabularySize, views }: Task, objective: string | undefined): number {
  const view = objective === "masked" ? views.masked : objective === "next-sentence" ? views.sentences : undefined;
  return view?.vocabularySize ?? vocabularySize;
}

/** The task of a configuration. */
export function taskOf(
  { task: { kind, ...chosen }, length, seed }: Pick<RunConfig, "task" | "length" | "seed">,
  options: Pick<TaskContext, "tokenizer" | "text"> = {},
): Promise<Task> {
  return createTask(kind, { ...chosen, ...present({ length }), seed }, options);
}

/**
 * Combines a task with a model.
 *
 * @param options.name name of the model, for messages
 * @param options.objective what the model is trained for. Default: its usual objective on this task
 * @throws ConfigError when they do not fit, saying what the model would need
 */
export function readingOf(
  task: Task,
  model: AnyModel,
  options: { readonly name: string; readonly objective?: Choice | undefined; readonly labelSmoothing?: number },
): Reading {
  const { name, labelSmoothing: smoothing = 0 } = options;
  const kind = (options.objective?.kind ?? usualObjective(model, task) ?? "next") as ObjectiveName;
  const needed = vocabularyOf(task, kind);
  if (needed > model.vocabularySize) {
    throw new RangeError(`${name} has ${model.vocabularySize} tokens, task ${task.name} ${needed}; they do not match`);
  }
  try {
    requireObjective(kind, model, task.views, { model: name, task: task.name });
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  const objective = makeObjective(kind, model, task.views, { smoothing });
  const trained = asTrained(model, kind, answerSizes(kind, task.views));
  const view = { ...task.views[objectives[kind].view] } as TaskView<unknown> & {
    readonly wholeWords?: TaskView<unknown>;
  };
  const read = options.objective?.wholeWords === true ? view.wholeWords : view;
  if (read === undefined)
    throw new ConfigError(`wholeWords: the tokens of task ${task.name} are no parts of words; leave it out`);
  // The only place where the type of a batch is lost: view and objective agree on it.
  return { kind, model: trained, objective, view: read } as unknown as Reading;
}
