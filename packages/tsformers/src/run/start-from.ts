import { type Concrete, flatten, isNdArray, type NDArray, randomKey, shapesEqual } from "@tsformers/engine";
import { ConfigError, type RunConfig, type RunConfigInput } from "./config.ts";
import { isExportedRun } from "./exported-params.ts";
import type { AnyModel } from "./model.ts";
import type { OpenedModel } from "./open-model.ts";

/**
 * The settings of a run that starts from an opened model: the model as it is; of a run its length of rows and its task, too.
 *
 * @throws ConfigError for a model that no task trains
 */
export function settingsOf({ directory, run, checkpoint, model, endTokens, startToken }: OpenedModel): RunConfigInput {
  if (model.category === "encoder")
    throw new ConfigError(`${directory}: an encoder fills in hidden tokens; there is no task that trains it yet`);
  // An export does not say where its data lie.
  if (run !== undefined)
    return { ...modelOfRun(run.config), ...(!isExportedRun(directory) && { task: run.config.task }) };
  const { config, ownHead } = checkpoint!;
  // What generation_config.json says of tokens is kept here, too.
  const tokens = { eos_token_id: endTokens, ...("decode" in model && { decoder_start_token_id: startToken }) };
  return { model: { kind: "checkpoint", settings: { ...config, ...tokens }, ownHead } };
}

/** @throws ConfigError when nothing says what a run that starts from a checkpoint is to learn */
export function requireTask(directory: string, { task }: RunConfigInput): void {
  if (task !== undefined) return;
  throw new ConfigError(`${directory}: has no task of its own; say what to train on, such as --task text --data FILE`);
}

/** What a run's settings say of its model. */
export function modelOfRun({ model, length }: RunConfig): RunConfigInput {
  return { model, length };
}

/**
 * The parameters of an opened model, for the model of a run that starts from it.
 *
 * @throws ConfigError naming the first that differs in shape, is missing or has no place
 */
export function fittingParams({ directory, params }: OpenedModel, model: AnyModel): Concrete<unknown> {
  const theirs = arraysOf(params);
  const wanted = arraysOf(model.init(randomKey(0)));
  for (const [path, { shape }] of wanted) {
    const found = theirs.get(path);
    if (found !== undefined && shapesEqual(found.shape, shape)) continue;
    const has = found === undefined ? "has none" : `has [${found.shape}]`;
    throw new ConfigError(
      `${directory}: the model of this run is another: it needs ${path} [${shape}], what it starts from ${has}; leave the model's settings away`,
    );
  }
  const extra = [...theirs.keys()].find((path) => !wanted.has(path));
  if (extra !== undefined)
    throw new ConfigError(`${directory}: the model of this run is another: it has no ${extra}, which this has`);
  return params as Concrete<unknown>;
}

function arraysOf(tree: unknown): Map<string, NDArray> {
  const { leaves, paths } = flatten(tree, isNdArray);
  return new Map(paths.map((path, i) => [path, leaves[i]!]));
}
