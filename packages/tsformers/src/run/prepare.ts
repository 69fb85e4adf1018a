import type { NDArray } from "@tsformers/engine";
import { createTask } from "../tasks/index.ts";
import type { Batch, PairBatch, Task, TaskView } from "../tasks/task.ts";
import type { Tokenizer } from "../tasks/tokenizer.ts";
import { languageModelTrainee, type Objective } from "../train/trainee.ts";
import { ConfigError, type RunConfig } from "./config.ts";
import { type AnyModel, makeModel } from "./model.ts";
import { sequenceToSequenceTrainee } from "./sequence-to-sequence-trainee.ts";

/** Batches of any form. */
export type AnyBatch = Readonly<Record<string, NDArray>>;

/** A task in the form that a model reads, and the model with what it is trained and measured for. */
export type Reading = {
  readonly model: AnyModel;
  readonly view: TaskView<AnyBatch>;
  readonly trainee: Objective<unknown, AnyBatch>;
};

/** A configuration made real: what a run trains on and what it trains. */
export type PreparedRun = Reading & {
  /** With `length` filled in. */
  readonly config: RunConfig & { readonly length: number };
  readonly task: Task;
};

/**
 * Makes the task and the model of a configuration.
 *
 * @param options.tokenizer of a run that goes on: its own, whatever the data look like now
 * @throws ConfigError when the model cannot learn the task: what it would need
 */
export async function prepareRun(
  config: RunConfig,
  options: { readonly tokenizer?: Tokenizer } = {},
): Promise<PreparedRun> {
  const task = await taskOf(config, options);
  const full = { ...config, length: task.length };
  const model = await makeModel(full, task.vocabularySize);
  return { config: full, task, ...readingOf(task, model, config.model.kind, config.labelSmoothing) };
}

/** The task of a configuration. */
export function taskOf(
  { task: { kind, ...chosen }, length, seed }: Pick<RunConfig, "task" | "length" | "seed">,
  options: { readonly tokenizer?: Tokenizer } = {},
): Promise<Task> {
  return createTask(kind, { ...chosen, ...(length !== undefined && { length }), seed }, options);
}

/**
 * How a model reads a task.
 *
 * @param name of the model, for messages
 * @throws ConfigError when it cannot: what it would need
 */
export function readingOf(task: Task, model: AnyModel, name: string, smoothing = 0): Reading {
  if (task.vocabularySize > model.vocabularySize) {
    throw new RangeError(
      `${name} has ${model.vocabularySize} tokens, task ${task.name} ${task.vocabularySize}; they do not stand for the same`,
    );
  }
  switch (model.category) {
    case "decoder":
      return reading<Batch>(model, task, languageModelTrainee(model, { smoothing }));
    case "encoder-decoder":
      if (task.pairs === undefined) {
        throw new ConfigError(
          `${name} reads one sequence and writes another; task ${task.name} has only one. Take copy or reverse, or a decoder such as gpt`,
        );
      }
      return reading<PairBatch>(model, task.pairs, sequenceToSequenceTrainee(model, { smoothing }));
    case "encoder":
      throw new ConfigError(
        `${name} fills in hidden tokens; task ${task.name} asks for the next one. Take a decoder such as gpt`,
      );
  }
}

/** The one place where the form of a batch is forgotten: view and trainee have the same. */
function reading<B>(model: AnyModel, view: TaskView<B>, trainee: Objective<unknown, B>): Reading {
  return { model, view, trainee } as unknown as Reading;
}
