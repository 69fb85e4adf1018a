import { type Concrete, flatten, isNdArray, mapTree, NDArray, randomKey, shapesEqual } from "@tsformers/engine";
import type { ObjectiveName } from "../objectives/index.ts";
import { ConfigError, type RunConfig, type RunConfigInput } from "./config.ts";
import { isExportedRun } from "./exported-params.ts";
import type { OpenedModel } from "./open-model.ts";
import type { PreparedRun } from "./prepare.ts";

/** The settings of a run that starts from an opened model: the model itself and, if it is a run, its length of rows and its task. */
export function settingsOf({ directory, run, checkpoint, model, endTokens, startToken }: OpenedModel): RunConfigInput {
  // An export does not record the path of its data.
  if (run !== undefined)
    return { ...modelOfRun(run.config), ...(!isExportedRun(directory) && { task: run.config.task }) };
  const { config, ownHead } = checkpoint!;
  // The token settings of generation_config.json are kept here, too.
  const tokens = { eos_token_id: endTokens, ...("decode" in model && { decoder_start_token_id: startToken }) };
  return { model: { kind: "checkpoint", settings: { ...config, ...tokens }, ownHead } };
}

/** @throws ConfigError when a run that starts from a checkpoint has no task */
export function requireTask(directory: string, { task }: RunConfigInput): void {
  if (task !== undefined) return;
  throw new ConfigError(`${directory}: has no task of its own; say what to train on, such as --task text --data FILE`);
}

/** The settings of a run that concern its model. */
export function modelOfRun({ model, length }: RunConfig): RunConfigInput {
  return { model, length };
}

/**
 * @throws ConfigError when a run that starts from a model has other tokens. What begins with a new head may do without the last ones of a model
 *   of sentences, which stand for no text
 */
export function requireSameVocabulary(source: OpenedModel, { model, task, kind }: PreparedRun): void {
  const [theirs, own] = [source.model.vocabularySize, model.vocabularySize];
  if (theirs === own || (leavesMarks(source, kind) && theirs > own)) return;
  const why = kind === "masked" ? " (one of them for hidden tokens)" : "";
  throw new ConfigError(
    `${source.directory}: has ${theirs} tokens, task ${task.name} ${own}${why}; a run starts from a model of the same vocabulary`,
  );
}

/**
 * The parameters of an opened model in the tree of the model that starts from it. A run that tells classes or gives rows back takes the
 * body and begins with a new head; the head of the other is left behind. What a model adds to the one it starts from is new, too.
 *
 * @throws ConfigError naming the first parameter that has another shape, is missing or is unknown
 */
export function fittingParams(
  source: OpenedModel,
  { model, kind, config }: Pick<PreparedRun, "model" | "kind" | "config">,
): Concrete<unknown> {
  const { directory, params } = source;
  const theirs = arraysOf(params);
  const initial = model.init(randomKey(config.seed)) as Concrete<unknown>;
  const wanted = arraysOf(initial);
  const newHead = newHeads[kind];
  const added = (model as { readonly addedParams?: readonly string[] }).addedParams ?? [];
  const mayBeNew = (path: string) => added.includes(path) || (newHead !== undefined && path.startsWith(newHead));
  const isNew = (path: string) => mayBeNew(path) && !theirs.has(path);
  for (const [path, { shape }] of wanted) {
    if (isNew(path)) continue;
    const found = theirs.get(path);
    if (path === embedding && found !== undefined && leavesMarks(source, kind)) {
      theirs.set(path, firstRows(found, shape[0]!));
      continue;
    }
    if (found !== undefined && shapesEqual(found.shape, shape)) continue;
    const has = found === undefined ? "has not" : `has as [${found.shape}]`;
    throw new ConfigError(
      `${directory}: the model of this run differs from the one it starts from: it needs ${path} [${shape}], which the other ${has}; leave out the model's settings`,
    );
  }
  const extra = [...theirs.keys()].find((path) => !wanted.has(path));
  if (extra !== undefined && newHead === undefined)
    throw new ConfigError(
      `${directory}: the model of this run differs from the one it starts from: it has no ${extra}, which the other has`,
    );
  return mapTree(initial, isNdArray, (array, path) => theirs.get(path) ?? array) as Concrete<unknown>;
}

/** Where the parameters of heads are that a run begins with, by objective. */
const newHeads: { readonly [Name in ObjectiveName]?: string } = {
  class: "classHead.",
  match: "matchHead.",
  tag: "classHead.",
  reconstruct: "reconstruction.",
};

/** Where models have the vectors of tokens, one for each row. */
const embedding = "tokens.weight";

/** Whether a run needs no vectors of the tokens that mark sentences: those that stand behind the others. */
function leavesMarks({ run }: OpenedModel, kind: ObjectiveName): boolean {
  return run?.config.objective?.kind === "next-sentence" && newHeads[kind] !== undefined;
}

function firstRows({ shape: [rows, ...rest], dtype, data }: NDArray, count: number): NDArray {
  const size = Math.min(count, rows!) * (data.length / rows!);
  return new NDArray([Math.min(count, rows!), ...rest], dtype, data.slice(0, size) as never);
}

function arraysOf(tree: unknown): Map<string, NDArray> {
  const { leaves, paths } = flatten(tree, isNdArray);
  return new Map(paths.map((path, i) => [path, leaves[i]!]));
}
