import { statSync } from "node:fs";
import { randomKey } from "@tsformers/engine";
import { Command, Option } from "commander";
import * as z from "zod";
import { type Panel, patternSvg } from "../attention/patterns/draw.ts";
import { entryOf } from "../catalogue/catalogue-of.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { usualPictureLength } from "../models/model-entry.ts";
import { objectives } from "../objectives/index.ts";
import type { Choice, Entry } from "../run/catalogue.ts";
import { parseRunConfig, type RunConfig } from "../run/config.ts";
import { countParameters } from "../run/count-parameters.ts";
import { type Flag, flagName, type GivenFlags, kebab, misplacedFlags, namesakes, withFlags } from "../run/flags.ts";
import { makeModel } from "../run/model.ts";
import { openParts, type PartName, partNames, partRefusal, parts, splitParts, takersOf } from "../run/parts.ts";
import { taskOf } from "../run/prepare.ts";
import { nearest } from "../schema/nearest.ts";
import { present } from "../schema/present.ts";
import { exampleOf, type TaskExample } from "../tasks/example.ts";
import type { Task } from "../tasks/index.ts";
import { catalogues } from "./catalogues.ts";
import { addFlags, givenFlags, nameOfSetting, parseCount, parseCounts, runFlags } from "./config-flags.ts";
import { drawPattern, type PatternReport, patternFacts, reportPattern } from "./describe-pattern.ts";
import { systemJson, systemNamed, systemText } from "./describe-system.ts";
import { UsageError } from "./exit.ts";
import { flagTerm, flagText, flagTextOf } from "./flag-help.ts";
import { givenPrompt } from "./generate-prompt.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

/** Settings that say where parts of a model are looked at. */
const placeFlags: readonly Flag[] = runFlags.filter(({ path }) =>
  ["length", "model.layers", "model.heads", "model.modelWidth"].includes(path.join(".")),
);

type Description = {
  readonly name: string;
  readonly is: string;
  readonly about: Readonly<Record<string, string>>;
  readonly options: readonly {
    readonly name: string;
    readonly flag: string;
    readonly description: string;
    readonly default?: unknown;
  }[];
  /** What a model leaves open. */
  readonly parts?: readonly { readonly name: string; readonly flag: string; readonly kinds: readonly string[] }[];
  readonly parameters?: { readonly total: number; readonly vocabularySize?: number };
  readonly pattern?: PatternReport;
  /** A row of a task. */
  readonly example?: TaskExample;
};

type Given = {
  readonly vocabularySize: number;
  readonly direction?: "causal" | "bidirectional";
  readonly svg?: string;
  readonly ascii?: true;
  readonly json?: true;
  readonly prompt?: string;
  readonly promptTokens?: readonly number[];
};

type Found = { readonly is: string; readonly name: string; readonly entry: Entry; readonly path: readonly string[] };

/**
 * `tsformers describe NAME`: what it is, its paper, formula, cost and settings; of a pattern also its picture and what it costs; of a run's
 * folder what it has learned that can be told.
 */
export function describeCommand(terminal: Terminal): Command {
  const command = new Command("describe")
    .description(
      "tell what a system, model, attention pattern or mechanism, position scheme, task, optimiser, schedule or run is",
    )
    .argument(
      "<name>",
      "a name from `tsformers list`; models/t5 where two things have one name; or the folder of a run",
    )
    .option("--vocabulary-size <n>", "tokens, for the count of a model's parameters", parseCount(2), 256)
    .addOption(new Option("--direction <which>", "of a pattern or mechanism").choices(["causal", "bidirectional"]))
    .option("--svg <file>", "write a pattern's picture there")
    .option("--ascii", "draw with plain characters")
    .option("--prompt <text>", "of a run whose positions take different numbers of steps: show those of this text")
    .option("--prompt-tokens <n,n,…>", "the same for tokens that stand for no text", (text) => parseCounts(text, 0))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      [
        "",
        "What is described takes its own settings, too, written as `tsformers train` takes them; a flag that does nothing is an error.",
        "",
        "Examples:",
        "  tsformers describe systems/transformer-xl",
        "  tsformers describe alibi",
        "  tsformers describe gpt --layers 12 --model-width 768 --heads 12 --vocabulary-size 50257",
        "  tsformers describe gpt --mixer performer --mixer.features 64",
        "  tsformers describe longformer --length 64",
        "  tsformers describe patterns/longformer --length 128 --pattern.window 16 --pattern.globals 0,64 --svg longformer.svg",
        "  tsformers describe patterns/strided --length 256 --pattern.stride 16 --pattern.use heads",
        "  tsformers describe performer --direction causal",
        '  tsformers describe runs/book --prompt "Once upon a time"',
      ].join("\n"),
    );
  addFlags(command, runFlags, (flag) => placeFlags.includes(flag));
  return command.action(async (name: string, options: Given & Readonly<Record<string, unknown>>) => {
    const given = givenFlags(options);
    const system = systemNamed(name);
    if (system !== undefined) {
      if (given.size > 0)
        throw new UsageError(`${flagName([...given.keys()][0]!)} does nothing with systems/${system.name}`);
      return terminal.out(options.json ? systemJson(system) : systemText(system, terminal));
    }
    if (isRun(name)) return tellRun(name, given, options, terminal);
    const found = find(name);
    requireUse(found, given, options);
    const told: Told[] = [];
    for (const one of found) told.push(await tell(one, given, options));
    const panels = told.flatMap(({ panels }) => panels);
    if (options.svg !== undefined) await writeSvg(options.svg, panels, told);
    if (options.json) {
      terminal.out(JSON.stringify({ descriptions: told.map(({ description }) => description) }, null, 2));
      return;
    }
    const unicode = terminal.unicode && !options.ascii;
    const texts = told.map(({ found, description, panels }) => {
      const text = render(found, description, terminal);
      if (description.pattern === undefined) return text;
      const { length } = description.pattern;
      return `${text}\n\n${drawPattern(panels, { length, columns: terminal.columns, unicode })}`;
    });
    terminal.out(texts.join("\n\n"));
  });
}

/** Whether a name is a folder, and none of the catalogue. */
function isRun(name: string): boolean {
  return named(name).found.length === 0 && (statSync(name, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

async function tellRun(directory: string, given: GivenFlags, options: Given, terminal: Terminal): Promise<void> {
  const idle = [
    ...[...given.keys()].map(flagName),
    ...(["direction", "svg"] as const).filter((name) => options[name]).map((name) => `--${name}`),
  ];
  if (idle.length > 0) throw new UsageError(`${idle.join(", ")}: a run has its own settings; leave that out`);
  const { describeRun, renderRun } = await import("./describe-run.ts");
  const told = await describeRun(directory, await givenPrompt(options));
  const unicode = terminal.unicode && !options.ascii;
  terminal.out(options.json ? JSON.stringify({ run: told }, null, 2) : renderRun(told, { ...terminal, unicode }));
}

type Told = { readonly found: Found; readonly description: Description; readonly panels: readonly Panel[] };

async function tell(found: Found, given: GivenFlags, options: Given): Promise<Told> {
  const description = describe(found);
  const part = partNames.find((name) => found.path.join() === ["model", name].join());
  if (part !== undefined) {
    const { more, panels } = await tellPart(part, found, given, options);
    return { found, description: { ...description, ...more }, panels };
  }
  if (found.is === "tasks") {
    const task = await madeTask(found, given);
    const more =
      task === undefined ? {} : { example: exampleOf(task), about: { ...description.about, ...aboutTask(task) } };
    return { found, description: { ...description, ...more }, panels: [] };
  }
  if (found.is !== "models") return { found, description, panels: [] };
  const { vocabularySize } = options;
  const total = await parametersOf(found, given, vocabularySize);
  return { found, description: { ...description, parameters: { total, vocabularySize } }, panels: [] };
}

/** Tasks of data that have some built in. */
const withoutData = ["text", "trajectories"];

/** A task with the flags that it takes; of data, only where they are named or built in. */
async function madeTask(found: Found, given: GivenFlags): Promise<Task | undefined> {
  const { task, ...rest } = configOf({ task: { kind: found.name } }, found, given);
  const isData = "category" in found.entry && found.entry.category === "data";
  if (isData && task.data === undefined && !withoutData.includes(found.name)) return undefined;
  return taskOf({ task, ...rest });
}

/** What a task is for its model. */
function aboutTask({ views, vocabularySize, length }: Task): Record<string, string> {
  return {
    "trained for": objectivesText(Object.keys(views)),
    // Rows of points and parts of episodes have no tokens.
    ...(views.points === undefined &&
      views.windows === undefined && { vocabulary: vocabularySize.toLocaleString("en-US") }),
    length: `${length} (--length)`,
  };
}

/** What a part of a model is where flags put it. */
async function tellPart(
  part: PartName,
  found: Found,
  given: GivenFlags,
  { direction }: Given,
): Promise<{ readonly more: Partial<Description>; readonly panels: readonly Panel[] }> {
  const { name, entry } = found;
  const model = { kind: takersOf(part)[0]!, [part]: { kind: name } };
  const config = configOf({ model }, found, given);
  const { layers, heads, modelWidth } = sizesOf(config);
  const { [part]: chosen } = splitParts(config.model).chosen;
  const { kind: _, ...options } = [chosen ?? []].flat()[0] ?? {};
  if (modelWidth % heads !== 0) throw new UsageError(`--heads ${heads} does not divide --model-width ${modelWidth}`);
  const causal = (direction ?? directionsOf(entry)[0]) !== "bidirectional";
  const place = { length: config.length ?? 64, layers, heads, modelWidth, causal };
  const counted = (made: unknown) => ({ more: { parameters: { total: countParameters(made) } }, panels: [] });
  const key = randomKey(0);
  switch (part) {
    case "mixer":
      return counted(entryOf(parts.mixer.catalogue, name).make(options, place).init(key));
    case "pattern": {
      const { report, panels } = reportPattern(entryOf(parts.pattern.catalogue, name).make(options, place), place);
      return { more: { pattern: report }, panels };
    }
    case "depth":
      return { more: {}, panels: [] };
    case "position": {
      const scheme = entryOf(parts.position.catalogue, name).make(options, place);
      return counted([scheme.positions, scheme.scores, scheme.layerPositions].map((one) => one?.init(key)));
    }
  }
}

/** The configuration of what is described, with the flags that it takes. */
function configOf(
  settings: Partial<Readonly<Record<"model" | "task", Choice>>>,
  found: Found,
  given: GivenFlags,
): RunConfig {
  const used = new Map([...given].filter(([flag]) => isUsed(flag, found)));
  const raw = withFlags(settings, runFlags, used);
  const misplaced = misplacedFlags(raw, runFlags, used.keys(), partRefusal);
  if (misplaced.size > 0) throw new UsageError([...misplaced.values()].join("\n"));
  return parseRunConfig(raw, "flags", (path) => nameOfSetting(path, used));
}

const sizes = z.object({ layers: z.int(), heads: z.int(), modelWidth: z.int() });

function sizesOf({ model }: RunConfig): z.output<typeof sizes> {
  return sizes.parse(model);
}

function directionsOf(entry: Entry): readonly unknown[] {
  return "directions" in entry && Array.isArray(entry.directions) ? entry.directions : [];
}

/** Whether a flag is a setting of what was found. */
function isOwn({ path, nodes, kinds }: Flag, found: Found): boolean {
  return kinds === undefined && path.slice(0, -1).join() === found.path.join() && nodes.has(found.name);
}

/** Whether a flag chooses a part that a model leaves open. */
function isOpenPart({ path, nodes, kinds }: Flag, { is, name }: Found): boolean {
  return is === "models" && kinds !== undefined && path.length > 2 && nodes.has(name);
}

/** Whether a flag changes what is told of what was found. */
function isUsed(flag: Flag, found: Found): boolean {
  const { is, name, path } = found;
  const place = flag.path.join(".");
  if (is === "models")
    return (
      isOwn(flag, found) ||
      isOpenPart(flag, found) ||
      place === "length" ||
      (flag.path.length > 2 && flag.kinds === undefined && openParts(name).includes(flag.path[1]!))
    );
  if (is === "tasks") return isOwn(flag, found) || place === "length" || place === "seed";
  return path.length > 1 && (isOwn(flag, found) || placeFlags.includes(flag));
}

/** @throws UsageError for flags that tell nothing of what was found */
function requireUse(found: readonly Found[], given: GivenFlags, options: Given): void {
  const names = [...new Set(found.map(({ name }) => name))].join(" and ");
  const idle = [...given.keys()].filter((flag) => !found.some((one) => isUsed(flag, one)));
  const problems = idle.map((flag) => {
    const part = partNames.find((name) => flag.path.join() === ["model", name, "kind"].join());
    const model = found.find(({ is }) => is === "models");
    if (part !== undefined && model !== undefined) return `${flagName(flag)}: ${partRefusal(model.name, part)}`;
    const owners = [...flag.nodes.keys()].filter((kind) => kind !== "");
    const whose =
      flag.kinds !== undefined || owners.length === 0
        ? ""
        : `; it is an option of ${owners.join(", ")}${namesakes(flag, runFlags)}`;
    return `${flagName(flag)} does nothing with ${names}${whose}`;
  });
  const directed = found.some(({ entry }) => directionsOf(entry).length > 0);
  for (const flag of ["prompt", "promptTokens"] as const)
    if (options[flag] !== undefined)
      problems.push(`--${kebab(flag)} does nothing with ${names}; it is for the folder of a run`);
  if (options.direction !== undefined && !directed) problems.push(`--direction does nothing with ${names}`);
  if (options.svg !== undefined && found.every(({ is }) => is !== "patterns")) {
    problems.push(`--svg draws patterns, which ${names} is not; tsformers list patterns shows them`);
  }
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
}

async function writeSvg(file: string, panels: readonly Panel[], told: readonly Told[]): Promise<void> {
  const length = told.find(({ description }) => description.pattern !== undefined)!.description.pattern!.length;
  await writeFileAtomic(file, patternSvg(panels, length));
}

function named(name: string): { readonly own: string; readonly found: Found[] } {
  const [is, own] = name.includes("/") ? (name.split("/") as [string, string]) : [undefined, name];
  const found = Object.entries(catalogues).flatMap(([title, { entries, path }]) =>
    (is === undefined || is === title) && Object.hasOwn(entries, own)
      ? [{ is: title, name: own, entry: entryOf(entries, own), path }]
      : [],
  );
  return { own, found };
}

/** @throws UsageError for a name that is not in the catalogue, with the nearest one */
function find(name: string): Found[] {
  const { own, found } = named(name);
  if (found.length > 0) return found;
  const known = [...new Set(Object.values(catalogues).flatMap(({ entries }) => Object.keys(entries)))];
  const near = nearest(own, known);
  throw new UsageError(
    `describe: nothing is called ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}\n\`tsformers list\` shows every name`,
  );
}

function describe(found: Found): Description {
  const { is, name, entry } = found;
  const texts = Object.entries(entry).flatMap(([key, value]) => {
    if (key === "parts" || key === "name") return [];
    const text = factText(key, value);
    return text === undefined ? [] : [[key, text] as const];
  });
  const options = runFlags
    .filter((flag) => isOwn(flag, found))
    .map((flag) => {
      const { description = "", default: standard } = flag.nodes.get(name)!;
      return {
        name: flag.path.at(-1)!,
        flag: flagName(flag),
        description,
        ...present({ default: standard }),
      };
    });
  const open = runFlags
    .filter((flag) => isOpenPart(flag, found))
    .map((flag) => ({ name: flag.path.at(-2)!, flag: flagName(flag), kinds: flag.kinds! }));
  return { name, is, about: Object.fromEntries(texts), options, ...(is === "models" && { parts: open }) };
}

/** What an entry says under a key, in words; undefined where it is nothing to read. */
function factText(key: string, value: unknown): string | undefined {
  if (key === "exponent") return powerOf(value);
  if (key === "refuses" && typeof value === "object" && value !== null) return refusalsText(value);
  if (key === "serves" && Array.isArray(value)) return objectivesText(value);
  if (Array.isArray(value)) return value.join(" and ");
  return describable(value) ? shown(value) : undefined;
}

/** The objectives that read one of these views. */
function objectivesText(views: readonly unknown[]): string {
  return Object.entries(objectives)
    .filter(([, { view }]) => views.includes(view))
    .map(([name]) => name)
    .join(", ");
}

/** `scores (it computes no logits)` */
function refusalsText(refusals: object): string {
  return Object.entries(refusals)
    .map(([what, why]) => `${what} (${why})`)
    .join(", ");
}

/** Of the length n. */
function powerOf(exponent: unknown): string {
  const known = new Map<unknown, string>([
    [1, "n"],
    [1.5, "n√n"],
    [2, "n²"],
  ]);
  return known.get(exponent) ?? `n^${exponent}`;
}

function describable(value: unknown): value is string | number | boolean {
  return (typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "boolean";
}

function shown(value: string | number | boolean): string {
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

async function parametersOf(found: Found, given: GivenFlags, vocabularySize: number): Promise<number> {
  const isOfPictures = "category" in found.entry && found.entry.category === "picture";
  const { model, length = isOfPictures ? usualPictureLength : 128 } = configOf(
    { model: { kind: found.name } },
    found,
    given,
  );
  return countParameters((await makeModel({ model, length }, vocabularySize)).init(randomKey(0)));
}

/** Longer rows are cut in the middle, where the least is scored. */
const shownCharacters = 1200;

function exampleLines({ input, expected, scored }: TaskExample, { columns }: Terminal): string[] {
  const half = shownCharacters / 2;
  const text = input.length <= shownCharacters ? input : `${input.slice(0, half)} … ${input.slice(-half)}`;
  return [
    ...text.split("\n").map((line) => `  ${wrapText(line, columns - 2, 2)}`),
    ...(expected === undefined ? [] : [`  expected: ${wrapText(expected, columns - 12, 12)}`]),
    `  scored: ${wrapText(scored, columns - 10, 10)}`,
  ];
}

const labels: Readonly<Record<string, string>> = {
  exponent: "grows as",
  decodeState: "decode state",
  refuses: "does not take",
  serves: "learns",
  beyond: "beyond the training length",
};

function render(
  found: Found,
  { name, is, about, parameters, pattern, example }: Description,
  terminal: Terminal,
): string {
  const { summary = "", ...rest } = about;
  const facts = Object.entries(rest).map(([key, text]) => [labels[key] ?? key, text] as const);
  const settings = runFlags
    .filter((flag) => isOwn(flag, found))
    .map((flag) => [flagTerm(flag, name), flagTextOf(flag, name)] as const);
  const open = runFlags
    .filter((flag) => isOpenPart(flag, found))
    .map((flag) => [flagTerm(flag), flagText(flag, runFlags)] as const);
  const own = is === "models" && open.length === 0 ? [["parts", "all its own"] as const] : [];
  const of = parameters?.vocabularySize === undefined ? "with" : `with ${parameters.vocabularySize} tokens and`;
  const count: (readonly [string, string])[] =
    parameters === undefined
      ? []
      : [["parameters", `${parameters.total.toLocaleString("en-US")} ${of} the options given`]];
  const counted = pattern === undefined ? [] : patternFacts(pattern);
  const section = (title: string, entries: readonly (readonly [string, string])[]) =>
    entries.length === 0 ? [] : ["", terminal.bold(title), definitionList(entries, terminal.columns)];
  return [
    `${terminal.bold(name)} (${is.replace(/s$/, "")})`,
    wrapText(summary, terminal.columns),
    "",
    definitionList([...facts, ...own, ...count, ...counted], terminal.columns),
    ...(example === undefined ? [] : ["", terminal.bold("Example"), ...exampleLines(example, terminal)]),
    ...section("Settings", settings),
    ...section("Parts that it leaves open", open),
  ].join("\n");
}
