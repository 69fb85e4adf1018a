import type { NDArray } from "@tsformers/engine";
import { createTask } from "../tasks/index.ts";
import type { Batch, PairBatch, Task, TaskView } from "../tasks/task.ts";
import { languageModelTrainee, type Trainee } from "../train/trainee.ts";
import type { RunConfig } from "./config.ts";
import { type AnyModel, makeModel } from "./model.ts";
import { sequenceToSequenceTrainee } from "./sequence-to-sequence-trainee.ts";

/** Batches of any form. */
export type AnyBatch = Readonly<Record<string, NDArray>>;

/** A configuration made real: what a run trains on and what it trains. */
export type PreparedRun = {
  /** With `length` filled in. */
  readonly config: RunConfig & { readonly length: number };
  readonly task: Task;
  readonly model: AnyModel;
  /** The task in the form that the model reads. */
  readonly view: TaskView<AnyBatch>;
  readonly trainee: Trainee<unknown, AnyBatch>;
};

/**
 * Makes the task and the model of a configuration.
 *
 * @throws Error when the model cannot learn the task: what it would need
 */
export async function prepareRun(config: RunConfig): Promise<PreparedRun> {
  const { kind, ...options } = config.task;
  const length = config.length === undefined ? {} : { length: config.length };
  const task = await createTask(kind, { ...options, ...length, seed: config.seed });
  const full = { ...config, length: task.length };
  const model = await makeModel(full, task.vocabularySize);
  return { config: full, task, model, ...matched(task, model, config) };
}

function matched(
  task: Task,
  model: AnyModel,
  { model: { kind }, labelSmoothing: smoothing }: RunConfig,
): Pick<PreparedRun, "view" | "trainee"> {
  switch (model.category) {
    case "decoder":
      return reading<Batch>(task, languageModelTrainee(model, { smoothing }));
    case "encoder-decoder":
      if (task.pairs === undefined) {
        throw new Error(
          `${kind} reads one sequence and writes another; task ${task.name} has only one. Take copy or reverse, or a decoder such as gpt`,
        );
      }
      return reading<PairBatch>(task.pairs, sequenceToSequenceTrainee(model, { smoothing }));
    case "encoder":
      throw new Error(
        `${kind} fills in hidden tokens; task ${task.name} asks for the next one. Take a decoder such as gpt`,
      );
  }
}

/** The one place where the form of a batch is forgotten: view and trainee have the same. */
function reading<B>(view: TaskView<B>, trainee: Trainee<unknown, B>): Pick<PreparedRun, "view" | "trainee"> {
  return { view, trainee } as unknown as Pick<PreparedRun, "view" | "trainee">;
}
