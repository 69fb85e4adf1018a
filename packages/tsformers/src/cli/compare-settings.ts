import { type Axis, type Cells, cellsOf, type Shared } from "../compare/cells.ts";
import { everyMember } from "../compare/every-member.ts";
import { triedValues } from "../compare/execution/search.ts";
import { type CompareSettings, parseCompareSettings } from "../compare/settings.ts";
import { standardFor } from "../compare/standard.ts";
import { listText } from "../compare/text/sentences.ts";
import { jsonObject, jsonObjects, readJsonFile } from "../io/read-json.ts";
import { spelledOut } from "../run/config.ts";
import { type Flag, flagName, flagNamed, type GivenFlags } from "../run/flags.ts";
import { mergedSettings } from "../run/merge-settings.ts";
import { quotedPath } from "../schema/explain.ts";
import { kebab } from "../schema/kebab.ts";
import { suggestion } from "../schema/nearest.ts";
import { present } from "../schema/present.ts";
import { splitList, unbracketed } from "../schema/setting-value.ts";
import { givenFlags, nameOfSetting, runFlags } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import { firstLook } from "./first-look.ts";

/** The settings of a run that a comparison takes: a model to start from is one model, not several. */
export const comparedFlags: readonly Flag[] = runFlags.filter(({ name }) => name !== "from");

const usualPositions = "position=sinusoidal,rotary,t5,alibi";

/** What the command was given, beside the settings of runs. */
export type CompareFlags = {
  readonly vary?: readonly string[];
  readonly tasks?: string;
  readonly models?: string;
  readonly mixers?: string;
  readonly positions?: string;
  readonly variants?: string;
  readonly seeds?: number;
  readonly lengths?: readonly number[];
  readonly multiples?: readonly number[];
  readonly budgetTokens?: number;
  readonly budgetSeconds?: number;
  readonly budgetFlops?: number;
  readonly testTokens?: number;
  readonly selfPretrain?: true;
  readonly search?: readonly string[];
  readonly searchMethod?: string;
  readonly searchTrials?: number;
  readonly searchSeed?: number;
  readonly measureOnly?: true;
  readonly config?: string;
  readonly [flag: string]: unknown;
};

export type AskedComparison = Cells & {
  readonly settings: CompareSettings;
  /** What `--config` takes to ask the same again. */
  readonly file: unknown;
};

/**
 * What flags and files ask for together; flags win.
 *
 * @throws UsageError, RangeError or ConfigError for what is wrong with it
 */
export function askedComparison(options: CompareFlags): AskedComparison {
  const read = options.config === undefined ? {} : readJsonFile(options.config, jsonObject);
  const flagged = flaggedSettings(options);
  // Without anything said of what is compared, a first look is made.
  const saysNothing = options.config === undefined && Object.keys(flagged).every((name) => closer.has(name));
  const { compare: section = {}, ...shared } = saysNothing ? firstLook : read;
  const source = [options.config === undefined ? [] : [options.config], "flags"].flat().join(" and ");
  const merged = mergedSections(section, flagged);
  const settings = parseCompareSettings(merged, source, (path) =>
    path[0] !== undefined && path[0] in flagged
      ? optionName(path[0] === "budget" ? `budget-${(flagged.budget as { kind: string }).kind}` : path[0])
      : quotedPath(["compare", ...path]),
  );
  const given = flagsNamed(settings.set, "set");
  const axes = Object.entries(settings.vary ?? {}).map(
    ([name, values]): Axis => ({ flag: flagOf(name, "--vary"), values }),
  );
  for (const { flag } of axes) {
    if (given.has(flag)) throw new UsageError(`${flagName(flag)} is what is varied; leave it away`);
    const refused = flag.name === "seed" ? oneSeed : savedWhere.has(flag.name) ? sameRun : undefined;
    if (refused !== undefined) throw new UsageError(`--vary ${flag.name}: ${refused}`);
  }
  const searched = searchedFlags(settings, new Set([...given.keys(), ...axes.map(({ flag }) => flag)]));
  const known = new Map([...given, ...axes.map(({ flag, values }) => [flag, values[0]!] as const)]);
  const about: Shared = {
    settings: measuredAt(settings, spelledOut(shared)),
    standard: (task) => standardFor({ ...task, ...present({ length: task.length ?? longest(settings) }) }),
    given,
    searched,
    flags: comparedFlags,
    source: [options.variants ?? options.config ?? [], "flags"].flat().join(" and "),
    nameOf: (path) => nameOfSetting(path, known),
  };
  const { variants } = settings;
  const isAll = settings.measureOnly && variants === undefined && !variesModel(axes);
  const cells = cellsOf(about, axes, isAll ? everyMember() : variants);
  return { ...cells, settings, file: { ...shared, compare: merged } };
}

/** The longest rows that only their steps are measured at: models are made for rows of this length. */
function longest({ measureOnly, lengths }: CompareSettings): number | undefined {
  return measureOnly && lengths !== undefined ? Math.max(...lengths) : undefined;
}

/** What all share; where nothing is trained, rows are as long as the longest that are measured. */
function measuredAt(settings: CompareSettings, shared: unknown): unknown {
  const length = longest(settings);
  return length === undefined ? shared : mergedSettings({ length }, shared);
}

/** How closely is looked, whatever is looked at. */
const closer: ReadonlySet<string> = new Set(["seeds", "lengths", "multiples", "testTokens"]);

/** Whether an axis says what models there are, so that they need not be all. */
function variesModel(axes: readonly Axis[]): boolean {
  return axes.some(({ flag: { path } }) => path[0] === "model");
}

/** The section `compare` that the flags make. */
function flaggedSettings(options: CompareFlags): Record<string, unknown> {
  const { seeds, lengths, multiples, testTokens, selfPretrain, measureOnly } = options;
  const set = Object.fromEntries(
    [...givenFlags(options, comparedFlags)].map(([{ name, short }, text]) => [short ?? name, text]),
  );
  const vary = variedSettings(options);
  const variants = options.variants === undefined ? undefined : readJsonFile(options.variants, jsonObjects);
  if (measureOnly) requireMeasured(options, set, vary);
  const budget = budgetOf(options, "steps" in set);
  const search = searchOf(options);
  return present({
    set: Object.keys(set).length === 0 ? undefined : set,
    vary,
    variants,
    seeds,
    lengths,
    multiples,
    budget,
    testTokens,
    selfPretrain,
    search,
    measureOnly,
  });
}

const trainingOnly = [
  ...["seeds", "budgetTokens", "budgetSeconds", "budgetFlops", "testTokens", "selfPretrain"],
  ...["search", "searchMethod", "searchTrials", "searchSeed", "jobs"],
];

/** Settings of a run on which the cost of a step depends. */
const ofSteps: ReadonlySet<string> = new Set([
  "task",
  "model",
  "objective",
  "length",
  "batchSize",
  "microBatches",
  "device",
]);

/** @throws UsageError for flags that do nothing where nothing is trained */
function requireMeasured(options: CompareFlags, ...settings: readonly (object | undefined)[]): void {
  const flags = settings.flatMap((given) => Object.keys(given ?? {})).map((name) => flagOf(name, "--vary"));
  const idle = [
    ...trainingOnly.filter((name) => options[name] !== undefined).map(optionName),
    ...flags.filter(({ path: [place] }) => !ofSteps.has(place!)).map(flagName),
  ];
  if (idle.length > 0)
    throw new UsageError(
      `${listText(idle)}: --measure-only trains nothing; leave ${idle.length === 1 ? "it" : "them"} away`,
    );
}

/** A file's section with that of the flags on top. What the flags vary takes the place of what the file does. */
function mergedSections(file: unknown, flagged: Readonly<Record<string, unknown>>): unknown {
  if (typeof file !== "object" || file === null) return file;
  const before = file as Readonly<Record<string, unknown>>;
  const set = { ...(before.set as object | undefined), ...(flagged.set as object | undefined) };
  const merged: Readonly<Record<string, unknown>> = {
    ...before,
    ...flagged,
    ...(Object.keys(set).length > 0 && { set }),
  };
  if (flagged.lengths !== undefined && flagged.multiples === undefined) return without(merged, "multiples");
  if (flagged.multiples !== undefined && flagged.lengths === undefined) return without(merged, "lengths");
  const says = merged.vary !== undefined || merged.variants !== undefined || merged.measureOnly === true;
  return says ? merged : { ...merged, vary: usualAxes };
}

const usualAxes = variedSettings({ vary: [usualPositions] })!;

function without(record: Readonly<Record<string, unknown>>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name));
}

/** The settings that are varied, tasks, models, mixers and positions first. */
function variedSettings({
  vary = [],
  tasks,
  models,
  mixers,
  positions,
}: Pick<CompareFlags, "vary" | "tasks" | "models" | "mixers" | "positions">): Record<string, string[]> | undefined {
  const short = { task: tasks, model: models, mixer: mixers, position: positions };
  const said = [
    ...Object.entries(short).flatMap(([name, values]) => (values === undefined ? [] : [`${name}=${values}`])),
    ...vary,
  ];
  if (said.length === 0) return undefined;
  const varied = new Map<string, string[]>();
  for (const text of said) {
    const { name, values } = namedValues(text, "--vary");
    if (varied.has(name)) throw new UsageError(`--${name} is varied twice; give all its values at once`);
    varied.set(name, values);
  }
  return Object.fromEntries(varied);
}

/** `learning-rate=1e-3,3e-4` */
function namedValues(text: string, option: string): { readonly name: string; readonly values: string[] } {
  const at = text.indexOf("=");
  const flag = flagOf(at < 0 ? text : text.slice(0, at), option);
  const { name, short } = flag;
  const items = at < 0 ? [] : splitList(text.slice(at + 1));
  const values = isPlainText(flag) ? items.map(withoutBrackets) : items;
  if (values.length === 0)
    throw new UsageError(`${option} ${short ?? name}: expected values, such as ${short ?? name}=a,b`);
  const twice = values.find((value, i) => values.indexOf(value) < i);
  if (twice !== undefined) throw new UsageError(`${option} ${short ?? name}: ${twice} is given twice`);
  return { name: short ?? name, values };
}

/** Whether a setting takes text as it is, in which brackets mean nothing. */
function isPlainText({ kinds, nodes }: Flag): boolean {
  return kinds === undefined && [...nodes.values()].every(({ type }) => type === "string");
}

/** A text with a comma may stand in brackets, which keep it in one piece. */
function withoutBrackets(text: string): string {
  return text.includes(",") ? unbracketed(text) : text;
}

function flagOf(name: string, option: string): Flag {
  const flag = flagNamed(comparedFlags, name);
  if (flag !== undefined) return flag;
  const names = comparedFlags.map((one) => one.short ?? one.name);
  throw new UsageError(`${option}: unknown setting ${JSON.stringify(name)}${suggestion(name, names)}`);
}

function flagsNamed(settings: Readonly<Record<string, string>>, option: string): Map<Flag, string> {
  return new Map(Object.entries(settings).map(([name, text]) => [flagOf(name, option), text]));
}

/** `--test-tokens` */
function optionName(setting: string): string {
  return `--${kebab(setting)}`;
}

function budgetOf(
  { budgetTokens, budgetSeconds, budgetFlops }: CompareFlags,
  hasSteps: boolean,
): { kind: string; amount: number } | undefined {
  const said = Object.entries({ tokens: budgetTokens, seconds: budgetSeconds, flops: budgetFlops }).flatMap(
    ([kind, amount]) => (amount === undefined ? [] : [{ kind, amount }]),
  );
  const names = [...said.map(({ kind }) => `--budget-${kind}`), ...(hasSteps ? ["--steps"] : [])];
  if (said.length > 0 && names.length > 1)
    throw new UsageError(`${names.join(" and ")} say how long to train; give one of them`);
  return said[0];
}

function searchOf({ search, searchMethod, searchTrials, searchSeed }: CompareFlags): unknown {
  if (search === undefined) {
    const idle = Object.entries({ searchMethod, searchTrials, searchSeed }).find(([, value]) => value !== undefined);
    if (idle !== undefined) throw new UsageError(`${optionName(idle[0])} needs --search`);
    return undefined;
  }
  const over = Object.fromEntries(
    search.map((text) => {
      const { name, values } = namedValues(text, "--search");
      return [name, values];
    }),
  );
  return { over, ...present({ method: searchMethod, trials: searchTrials, seed: searchSeed }) };
}

/** Why some settings are not varied or searched. */
const oneSeed = "all variants have the same seeds; --seeds N makes N runs of each";
const sameRun = "it does not change what is learned";

/** Settings that say how often a run is saved. */
const savedWhere: ReadonlySet<string> = new Set(["checkpoint-every", "keep"]);

/** Settings that change how a run is worked on or looked at, but not what it learns. */
const besideLearning: ReadonlySet<string> = new Set([
  ...savedWhere,
  "micro-batches",
  "eval-every",
  "eval-tokens",
  "device",
]);

/** Why candidates of a search that differ in a setting cannot be told apart by their losses; undefined where they can. */
function searchRefusal({ name, path }: Flag): string | undefined {
  if (name === "seed") return oneSeed;
  if (name === "steps") return "all candidates are trained equally long";
  if (name === "length" || path[0] === "task" || path[0] === "objective")
    return "losses of different questions do not compare; use --vary";
  return besideLearning.has(name) ? sameRun : undefined;
}

/** @throws UsageError for a setting that is searched and given, and for one that cannot be searched */
function searchedFlags({ search }: CompareSettings, taken: ReadonlySet<Flag>): GivenFlags[] {
  if (search === undefined) return [];
  for (const name of Object.keys(search.over)) {
    const flag = flagOf(name, "--search");
    const refused = searchRefusal(flag);
    if (refused !== undefined) throw new UsageError(`--search ${name}: ${refused}`);
    if (taken.has(flag)) throw new UsageError(`${flagName(flag)} is what is searched; leave it away`);
  }
  return triedValues(search).map((tried) => flagsNamed(tried, "--search"));
}
