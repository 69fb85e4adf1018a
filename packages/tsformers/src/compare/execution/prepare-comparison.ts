import { randomKey } from "@tsformers/engine";
import * as z from "zod";
import { causalPart } from "../../attention/patterns/causal-part.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import { entryOf } from "../../catalogue/catalogue-of.ts";
import { tasks as taskCatalogue } from "../../catalogue/tasks.ts";
import { decodeStateBytes } from "../../generate/decode-state-bytes.ts";
import type { AnswerSizes, ObjectiveName } from "../../objectives/index.ts";
import { canonicalJson } from "../../run/canonical-json.ts";
import type { RunConfig } from "../../run/config.ts";
import { ConfigError } from "../../run/config-error.ts";
import { countParameters } from "../../run/count-parameters.ts";
import type { AnyModel } from "../../run/model.ts";
import { type PreparedRun, prepareRun, taskOf } from "../../run/prepare.ts";
import { withAbsolutePaths } from "../../run/train-run.ts";
import { CombinationError } from "../../schema/combination-error.ts";
import { present } from "../../schema/present.ts";
import { exampleOf } from "../../tasks/example.ts";
import type { Task, TaskEntry } from "../../tasks/index.ts";
import { readTextData } from "../../tasks/text/text-data.ts";
import type { ReadText } from "../../tasks/text/tokenized-text.ts";
import { meanLength } from "../../tasks/train-lengths.ts";
import { type Baseline, frequencyBaseline } from "../baselines.ts";
import type { Cell } from "../cells.ts";
import { pointBaselines } from "../point-baselines.ts";
import { quantityBaseline } from "../quantity-baseline.ts";
import type { Budget, CellAbout, TaskAbout } from "../results.ts";
import type { CompareSettings } from "../settings.ts";
import { counted } from "../text/sentences.ts";
import { fingerprint } from "./fingerprint.ts";
import { withSteps } from "./measure-run.ts";
import { countTraining } from "./measure-steps.ts";
import type { FullConfig } from "./messages.ts";
import { inequalities } from "./parity.ts";
import { patternPictures } from "./pattern-pictures.ts";
import type { PlannedCell } from "./plan.ts";

/** A comparison that can be made: each cell was put together and fits its task. */
export type PreparedComparison = {
  readonly budget: Budget;
  readonly tasks: readonly TaskAbout[];
  readonly abouts: readonly CellAbout[];
  readonly cells: readonly PlannedCell[];
  /** Texts that were read, by the fingerprint of the task's data; `key` is the same for the same text. */
  readonly texts: ReadonlyMap<string, { readonly key: string; readonly read: ReadText }>;
};

/** Settings of a text. */
const readsText = z.looseObject({ kind: z.literal("text"), data: z.string() });

/**
 * Reads the data, once, and makes the model and the task of each cell.
 *
 * @throws ConfigError naming each variant that cannot be trained or measured, and why; FileError for data that cannot be read
 */
export async function prepareComparison(
  cells: readonly Cell[],
  settings: CompareSettings,
  onNote: (text: string) => void = () => {},
): Promise<PreparedComparison> {
  requireOneSeed(cells);
  // Long rows, large data and many rows to score take minutes.
  onNote(`preparing ${counted(cells.length, "model")}: data, sizes and baselines`);
  const source = dataSource();
  const prepared: Prepared[] = [];
  const failures: { label: string; message: string }[] = [];
  for (const cell of cells) {
    const label = cells.every(({ task }) => task === cell.task) ? cell.variant : `${cell.variant} on ${cell.task}`;
    try {
      prepared.push(await preparedCell(cell, settings, source));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      failures.push({ label, message: error.message });
    }
  }
  requireNone(failures, cells.length);
  const groups = [...new Set(cells.map(({ task }) => task))].map((task) =>
    prepared.filter(({ cell }) => cell.task === task),
  );
  if (!settings.measureOnly) for (const group of groups) requireComparable(group);
  return {
    budget: budgetOf(settings, prepared),
    tasks: groups.map((group) => aboutTask(group, settings)),
    abouts: groups.flatMap((group) => aboutCells(group, settings)),
    cells: groups.flatMap((group) => group.map((one) => plannedCell(one, settings))),
    texts: source.texts,
  };
}

type Prepared = {
  readonly cell: Cell;
  /** With the steps that the budget pays for in each. */
  readonly candidates: PlannedCell["candidates"];
  /** At which it is measured. */
  readonly lengths: readonly number[];
  readonly run: PreparedRun;
  readonly config: FullConfig;
  readonly flopsPerToken: number;
};

async function preparedCell(cell: Cell, settings: CompareSettings, source: DataSource): Promise<Prepared> {
  const prepare = async (given: RunConfig) => {
    const config = withAbsolutePaths(given);
    const run = await prepareRun(config, { task: await source.taskOf(config) });
    requireRows(run, settings);
    const { flopsPerToken } = countTraining(run);
    return { run, flopsPerToken, config: withBudget(run, settings, flopsPerToken) };
  };
  const own = await prepare(cell.config);
  const ownKey = canonicalJson(cell.config);
  const candidates: PlannedCell["candidates"][number][] = [];
  for (const candidate of cell.candidates) {
    // Where nothing is searched, the only candidate is the cell as it is.
    const { config } = canonicalJson(candidate.config) === ownKey ? own : await prepare(candidate.config);
    candidates.push({ settings: candidate.settings, config });
  }
  return { cell, candidates, lengths: lengthsOf(own.run, settings), ...own };
}

type DataSource = {
  taskOf(config: RunConfig): Promise<Task>;
  readonly texts: Map<string, { key: string; read: ReadText }>;
};

/** Makes each task once, and reads each text once, whatever the lengths and seeds of its tasks. */
function dataSource(): DataSource {
  const known = new Map<string, Promise<Task>>();
  const read = new Map<string, Promise<ReadText>>();
  const texts: DataSource["texts"] = new Map();
  const make = async (config: RunConfig): Promise<Task> => {
    const { data: text } = readsText.safeParse(config.task);
    if (text === undefined) return taskOf(config);
    const options = entryOf<TaskEntry>(taskCatalogue, "text").options().parse(withoutKind(text));
    const { length: _, seed: __, ...rest } = options as Record<string, unknown>;
    const key = `text-${fingerprint(rest)}`;
    const found = read.get(key) ?? readTextData(rest as Parameters<typeof readTextData>[0]);
    read.set(key, found);
    const task = await taskOf(config, { text: await found });
    texts.set(task.fingerprint, { key, read: await found });
    return task;
  };
  return {
    texts,
    taskOf: (config) => {
      const { task, length, seed } = config;
      const key = fingerprint({ task, length, seed });
      const found = known.get(key) ?? make(config);
      known.set(key, found);
      return found;
    },
  };
}

function withoutKind({ kind: _, ...settings }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return settings;
}

/** As many steps as the budget pays for; a budget of time is measured by each run itself. */
function withBudget(run: PreparedRun, { budget }: CompareSettings, flopsPerToken: number): FullConfig {
  const { config } = run;
  const perStep = tokensPerStep(run);
  switch (budget?.kind) {
    case "tokens":
      return withSteps(config, Math.max(1, Math.ceil(budget.amount / perStep)));
    case "flops":
      return withSteps(config, Math.max(1, Math.round(budget.amount / (flopsPerToken * perStep))));
    default:
      return config;
  }
}

/** Tokens of an update, in the mean of all. */
function tokensPerStep({ view, config: { batchSize, length } }: PreparedRun): number {
  return batchSize * meanLength(view, length);
}

function budgetOf({ budget }: CompareSettings, prepared: readonly Prepared[]): Budget {
  return budget ?? { kind: "steps", amount: Math.max(...prepared.map(({ config }) => config.steps)) };
}

/** Errors that say that things do not fit; others are defects, or of the machine. */
function isRefusal(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof RangeError || error instanceof CombinationError;
}

function requireNone(failures: readonly { label: string; message: string }[], cells: number): void {
  if (failures.length === 0) return;
  const messages = new Set(failures.map(({ message }) => message));
  // What is wrong with all of them alike is none's own.
  if (messages.size === 1 && failures.length === cells) throw new ConfigError(failures[0]!.message);
  const lines = failures.map(({ label, message }) =>
    message.startsWith(`${label}: `) ? message : `${label}: ${message}`,
  );
  throw new ConfigError(lines.join("\n"));
}

/** Asks for what a run will be trained and measured on, so that it fails now. */
function requireRows({ config: { batchSize, length }, view }: PreparedRun, { testTokens }: CompareSettings): void {
  const limit = testTokens === undefined ? {} : { limit: Math.max(testTokens, length) };
  view.evalBatches("valid", { batchSize, length });
  view.evalBatches("test", { batchSize, length, ...limit });
}

/** Runs of the same seed are compared with each other. */
function requireOneSeed(cells: readonly Cell[]): void {
  const seeds = new Set(
    cells.flatMap(({ config, candidates }) => [config, ...candidates.map((one) => one.config)].map(({ seed }) => seed)),
  );
  if (seeds.size > 1)
    throw new ConfigError(
      `expected the same seed for all variants, got ${[...seeds].join(" and ")}; several seeds make several runs of each`,
    );
}

/** Losses of different questions do not compare; with segments, the next token is asked for as well. */
function requireComparable(group: readonly Prepared[]): void {
  const question = ({ run: { kind } }: Prepared) => (kind === "segments" ? "next" : kind);
  const [first] = group;
  const other = group.find((one) => question(one) !== question(first!));
  if (other === undefined) return;
  throw new ConfigError(
    `${first!.cell.variant} is trained for ${first!.run.kind}, ${other.cell.variant} for ${other.run.kind}: their losses do not compare; name an objective for all, such as --objective masked`,
  );
}

/** Rows of these views may be longer than in training. */
const growing: ReadonlySet<string> = new Set(["next", "segments", "masked"]);
const usualMultiples = [1, 2, 4, 8];

function lengthsOf({ kind, config }: PreparedRun, { lengths, multiples }: CompareSettings): number[] {
  const all = lengths ?? (multiples ?? (growing.has(kind) ? usualMultiples : [1])).map((n) => n * config.length);
  return [...new Set(all)].sort((a, b) => a - b);
}

function aboutTask(group: readonly Prepared[], settings: CompareSettings): TaskAbout {
  const [first] = group as [Prepared, ...Prepared[]];
  const { task, kind, config } = first.run;
  const entry = entryOf<TaskEntry>(taskCatalogue, config.task.kind);
  const [loss, ranking = loss!] = task.metrics;
  return {
    label: first.cell.task,
    name: task.name,
    title: entry.title,
    objective: kind,
    metrics: task.metrics
      .filter(({ isDetail = false }) => !isDetail)
      .map(({ name, label, better }) => ({ name, label, better })),
    ranking: ranking.name,
    trainLength: config.length,
    lengths: first.lengths,
    baselines: settings.measureOnly ? [] : baselinesOf(first.run, settings),
    example: exampleOf(task),
  };
}

function baselinesOf({ task, view, config: { length } }: PreparedRun, { testTokens }: CompareSettings): Baseline[] {
  const { classes, components, quantity, decisions, shape, separator } = view as AnswerSizes;
  // What is done without looking at anything says little of an environment, and nothing of a picture or where an answer stands.
  if (decisions !== undefined || shape !== undefined || separator !== undefined) return [];
  const about = {
    metrics: task.metrics,
    length,
    ...(testTokens !== undefined && { limit: Math.max(testTokens, length) }),
  };
  if (components !== undefined) return pointBaselines({ ...about, view: view as never, components });
  if (quantity !== undefined) return [quantityBaseline({ ...about, view: view as never, error: quantity.error })];
  const name = classes === undefined ? "unigram" : "most frequent class";
  return [frequencyBaseline({ ...about, view, name, answers: classes ?? task.vocabularySize })];
}

/** What softmax attention sees, where it is not everything. */
function picturesOf(model: AnyModel, { length, model: { heads } }: FullConfig): Pick<CellAbout, "patterns"> {
  if (model.category === "encoder-decoder" || model.category === "picture" || typeof heads !== "number") return {};
  const { patterns, causal } = model;
  const isPlain = patterns.every((pattern) => pattern === fullPattern || pattern.name === "causal");
  if (isPlain || patterns.length === 0) return {};
  const shown = (layer: number) => (causal ? causalPart(patterns[layer]!, length) : patterns[layer]!);
  return { patterns: patternPictures(shown, { length, layers: patterns.length, heads }) };
}

const sizes = z.object({ layers: z.int().default(0), modelWidth: z.int().default(0) });

function aboutCells(group: readonly Prepared[], settings: CompareSettings): CellAbout[] {
  const facts = group.map(({ cell, run, config, flopsPerToken }) => ({
    task: cell.task,
    variant: cell.variant,
    parameters: countParameters(run.objective.init(randomKey(0))),
    ...sizes.parse(config.model),
    causal: run.model.category === "encoder-decoder" || run.model.category === "picture" || run.model.causal,
    flopsPerToken,
    config,
    ...((settings.budget === undefined || settings.budget.kind === "tokens") && {
      tokens: config.steps * tokensPerStep(run),
    }),
  }));
  const unequal = inequalities(facts);
  return facts.map(({ tokens: _, ...fact }, i) => {
    const { config } = fact;
    const { model } = group[i]!.run;
    const states =
      model.category === "encoder-decoder" || model.category === "picture"
        ? []
        : group[i]!.lengths.flatMap((length) => {
            const bytes = decodeStateBytes(model, length);
            return bytes === undefined ? [] : [{ length, bytes }];
          });
    return {
      ...fact,
      ...(states.length > 0 && { stateBytes: states }),
      ...picturesOf(model, config),
      unequal: unequal[i]!,
      settings: flatSettings({ model: config.model, learningRate: config.learningRate, batchSize: config.batchSize }),
    };
  });
}

/** Settings by their dotted names, as text. */
function flatSettings(settings: Readonly<Record<string, unknown>>): Record<string, string> {
  const flat: Record<string, string> = {};
  const visit = (value: unknown, name: string): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, name === "" ? key : `${name}.${key}`);
    } else if (value !== undefined) flat[name] = typeof value === "string" ? value : JSON.stringify(value);
  };
  visit(settings, "");
  return flat;
}

function plannedCell(prepared: Prepared, settings: CompareSettings): PlannedCell {
  const { cell, run, config, candidates, lengths } = prepared;
  const { testTokens } = settings;
  return {
    task: cell.task,
    variant: cell.variant,
    config,
    data: run.task.fingerprint,
    lengths,
    ...present({ testTokens }),
    candidates,
    ...(settings.selfPretrain && { pretrain: pretraining(prepared) }),
  };
}

/**
 * What a model learns of a task's own inputs before it learns the task: next tokens if it is causal, hidden ones otherwise.
 *
 * @throws ConfigError when the task has no such inputs, or is itself that
 */
function pretraining({ cell, run: { kind, model, task } }: Prepared): ObjectiveName {
  if (
    model.category === "encoder-decoder" ||
    model.category === "picture" ||
    kind === "next" ||
    kind === "segments" ||
    kind === "masked"
  )
    throw new ConfigError(
      `--self-pretrain: ${cell.variant} is trained for ${kind} on ${cell.task}; pre-training on a task's own inputs is for tasks with classes`,
    );
  const name = model.causal ? "next" : "masked";
  if (task.views[name] !== undefined) return name;
  throw new ConfigError(`--self-pretrain: task ${cell.task} does not offer its inputs for ${name}`);
}
