import { type Concrete, flatten, isNdArray, mapTree, NDArray, randomKey, shapesEqual } from "@tsformers/engine";
import type { ObjectiveName } from "../objectives/index.ts";
import { present } from "../schema/present.ts";
import type { RunConfig, RunConfigInput } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { isExportedRun } from "./exported-params.ts";
import { lengthen } from "./lengthen.ts";
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

/** The same for a run with another model: that of a checkpoint as one of the catalogue, so that both have the same sizes. */
export function sizesOf(source: OpenedModel): RunConfigInput {
  const settings = settingsOf(source);
  if (source.checkpoint?.config.model_type !== "bert") return settings;
  const { num_hidden_layers, hidden_size, num_attention_heads, intermediate_size } = source.checkpoint.config;
  const sizes = { layers: num_hidden_layers, modelWidth: hidden_size, heads: num_attention_heads };
  return { ...settings, model: { kind: "bert", ...present(sizes), ...present({ ffnWidth: intermediate_size }) } };
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

/** The parameters that a run starts with. */
export type StartingParams = {
  readonly params: Concrete<unknown>;
  /** What of them is not as the other model had it, in words. */
  readonly changes: readonly string[];
};

/**
 * The parameters of an opened model in the tree of the model that starts from it. A run that tells classes or gives rows back takes the
 * body and begins with a new head; the head of the other is left behind. What a model adds to the one it starts from is new, too, and so is
 * what its layers keep beside parameters where the other's keep something else: with other mixers of the same parameters, those of softmax
 * attention are taken over by the Performer, which draws features of its own. A model for longer inputs takes what {@link lengthen} makes of
 * a dense one.
 *
 * @throws ConfigError naming the first parameter that has another shape, is missing or is unknown
 */
export function startingParams(
  source: OpenedModel,
  { model, kind, config }: Pick<PreparedRun, "model" | "kind" | "config">,
): StartingParams {
  const { directory, checkpoint } = source;
  const initial = model.init(randomKey(config.seed)) as Concrete<unknown>;
  const wanted = arraysOf(initial);
  const { arrays: theirs, changes } = offered(source, wanted, kind);
  const newHead = newHeads[kind];
  const added = (model as { readonly addedParams?: readonly string[] }).addedParams ?? [];
  const mayBeNew = (path: string) =>
    added.includes(path) || isState(path) || (newHead !== undefined && path.startsWith(newHead));
  const isNew = (path: string) => mayBeNew(path) && !theirs.has(path);
  for (const [path, { shape }] of wanted) {
    if (isNew(path)) continue;
    const found = theirs.get(path);
    if (found !== undefined && shapesEqual(found.shape, shape)) continue;
    const has = found === undefined ? "has not" : `has as [${found.shape}]`;
    throw new ConfigError(
      `${directory}: the model of this run differs from the one it starts from: it needs ${path} [${shape}], which the other ${has}; leave out the model's settings`,
    );
  }
  // A model of the catalogue has no heads for sentences, which checkpoints of BERT come with.
  const isLeft = (path: string) =>
    checkpoint !== undefined && config.model.kind !== "checkpoint" && /^(pooler|nextSentence)\./.test(path);
  const extra = [...theirs.keys()].find((path) => !wanted.has(path) && !isLeft(path));
  if (extra !== undefined && newHead === undefined)
    throw new ConfigError(
      `${directory}: the model of this run differs from the one it starts from: it has no ${extra}, which the other has`,
    );
  return {
    params: mapTree(initial, isNdArray, (array, path) => theirs.get(path) ?? array) as Concrete<unknown>,
    changes,
  };
}

/** The arrays of the other model as this one can take them, and what is said of those that are not as they were. */
function offered(
  source: OpenedModel,
  wanted: Arrays,
  kind: ObjectiveName,
): { arrays: Arrays; changes: readonly string[] } {
  const own = arraysOf(source.params);
  const { arrays, notes } = lengthen(own, wanted);
  const all = new Map([...own, ...arrays]);
  const [tokens, wantedTokens] = [all.get(embedding), wanted.get(embedding)];
  if (tokens !== undefined && wantedTokens !== undefined && leavesMarks(source, kind))
    all.set(embedding, firstRows(tokens, wantedTokens.shape[0]!));
  if (haveSameState(all, wanted)) return { arrays: all, changes: notes };
  return { arrays: withoutState(all), changes: [...notes, changeOfState(wanted)] };
}

/** What is said where a run does not take over what layers of the other keep beside parameters, or begins with some of its own. */
function changeOfState(wanted: Arrays): string {
  return [...wanted.keys()].some(isState)
    ? "its parameters are taken over; what layers of this model keep beside them, such as drawn features, is new"
    : "its parameters are taken over, not what its layers keep beside them, such as drawn features";
}

const isState = (path: string): boolean => path.startsWith("trainingState.");

function haveSameState(a: Arrays, b: Arrays): boolean {
  const textOf = (arrays: Arrays) =>
    [...arrays].filter(([path]) => isState(path)).map(([path, { shape }]) => `${path} [${shape}]`);
  return textOf(a).sort().join() === textOf(b).sort().join();
}

function withoutState(arrays: Arrays): Arrays {
  return new Map([...arrays].filter(([path]) => !isState(path)));
}

/** Where the parameters of heads are that a run begins with, by objective. */
const newHeads: { readonly [Name in ObjectiveName]?: string } = {
  class: "classHead.",
  match: "matchHead.",
  tag: "classHead.",
  spans: "spanHead.",
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

type Arrays = ReadonlyMap<string, NDArray>;

function arraysOf(tree: unknown): Arrays {
  const { leaves, paths } = flatten(tree, isNdArray);
  return new Map(paths.map((path, i) => [path, leaves[i]!]));
}
