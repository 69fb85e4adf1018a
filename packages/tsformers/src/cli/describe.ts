import { randomKey } from "@tsformers/engine";
import { Command, Option } from "commander";
import { type Panel, patternSvg } from "../attention/patterns/draw.ts";
import type { PatternEntry } from "../attention/patterns/index.ts";
import { type MixerName, mixers } from "../catalogue/mixers.ts";
import { type PatternName, patterns } from "../catalogue/patterns.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import type { ModelName } from "../models/index.ts";
import type { Catalogue, Entry } from "../run/catalogue.ts";
import { parseRunConfig, runSchema } from "../run/config.ts";
import { countParameters } from "../run/count-parameters.ts";
import { flagsOf, kebab, misplacedFlags, withFlags } from "../run/flags.ts";
import { makeModel } from "../run/model.ts";
import { schemaTree } from "../schema/explain.ts";
import { nearest } from "../schema/nearest.ts";
import { attentionFlags, givenAttentionFlags, made, misplacedOptions, readOptions } from "./attention-options.ts";
import { catalogues } from "./catalogues.ts";
import { addFlags, givenFlags, parseCount } from "./config-flags.ts";
import { drawPattern, type PatternReport, type Place, patternFacts, reportPattern } from "./describe-pattern.ts";
import { UsageError } from "./exit.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

const modelFlags = flagsOf(runSchema.pick({ model: true, position: true, length: true })).filter(
  ({ name }) => name !== "model",
);

/** Flags of a model that say where patterns and mechanisms are looked at. */
const placeFlags = ["length", "layers", "heads", "model-width"];

type Description = {
  readonly name: string;
  readonly is: string;
  readonly about: Readonly<Record<string, string>>;
  readonly options: readonly { readonly name: string; readonly description: string; readonly default?: unknown }[];
  readonly parameters?: { readonly total: number; readonly vocabularySize?: number };
  readonly pattern?: PatternReport;
};

type Given = {
  readonly vocabularySize: number;
  readonly direction?: "causal" | "bidirectional";
  readonly svg?: string;
  readonly ascii?: true;
  readonly json?: true;
};

type Found = { readonly is: string; readonly name: string; readonly entry: Entry };

/** `tsformers describe NAME`: what it is, its paper, formula, cost and options; of a pattern also its picture and what it costs. */
export function describeCommand(terminal: Terminal): Command {
  const command = new Command("describe")
    .description("tell what a model, attention pattern or mechanism, position scheme, task, optimiser or schedule is")
    .argument("<name>", "a name from `tsformers list`; models/t5 where two things have one name")
    .option("--vocabulary-size <n>", "tokens, for the count of a model's parameters", parseCount(2), 256)
    .addOption(new Option("--direction <which>", "of a pattern or mechanism").choices(["causal", "bidirectional"]))
    .option("--svg <file>", "write a pattern's picture there")
    .option("--ascii", "draw with plain characters")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  tsformers describe alibi",
        "  tsformers describe gpt --layers 12 --model-width 768 --heads 12 --vocabulary-size 50257",
        "  tsformers describe longformer --length 64",
        "  tsformers describe longformer --length 128 --window 16 --globals 0,64 --dilations 1,2 --svg longformer.svg",
        "  tsformers describe patterns/strided --length 256 --stride 16 --use heads",
        "  tsformers describe performer --direction causal",
      ].join("\n"),
    );
  addFlags(command, modelFlags);
  const taken = [...command.options.map(({ long }) => long?.slice(2) ?? "")];
  for (const option of attentionFlags(taken)) command.addOption(option);
  return command.action(async (name: string, options: Given & Readonly<Record<string, unknown>>) => {
    const found = find(name);
    checkFlags(found, options);
    const told = await Promise.all(found.map((one) => tell(one, options)));
    const panels = told.flatMap(({ panels }) => panels);
    if (options.svg !== undefined) await writeSvg(options.svg, panels, told);
    if (options.json) {
      terminal.out(
        JSON.stringify(
          told.map(({ description }) => description),
          null,
          2,
        ),
      );
      return;
    }
    const unicode = terminal.unicode && !options.ascii;
    const texts = told.map(({ description, panels }) => {
      const text = render(description, terminal);
      if (description.pattern === undefined) return text;
      const { length } = description.pattern;
      return `${text}\n\n${drawPattern(panels, { length, columns: terminal.columns, unicode })}`;
    });
    terminal.out(texts.join("\n\n"));
  });
}

type Told = { readonly description: Description; readonly panels: readonly Panel[] };

async function tell({ is, name, entry }: Found, options: Given & Readonly<Record<string, unknown>>): Promise<Told> {
  const description = describe(is, name, entry);
  const models = givenFlags(options, modelFlags);
  if (is === "models") {
    const { vocabularySize } = options;
    const total = await parametersOf(name as ModelName, models, vocabularySize);
    return { description: { ...description, parameters: { total, vocabularySize } }, panels: [] };
  }
  const chosen = readOptions(entry, new Map([...models, ...givenAttentionFlags(options)]));
  if (is === "patterns") {
    const own: PatternEntry = patterns[name as PatternName];
    const place = placeOf(own.directions, models, options);
    const { report, panels } = await made(name, own, chosen, () => reportPattern(own, chosen, place));
    return { description: { ...description, pattern: report }, panels };
  }
  if (is === "mechanisms") {
    const own = mixers[name as MixerName];
    const place = placeOf(own.directions, models, options);
    const mixer = await made(name, own, chosen, () => own.make(chosen, place));
    return {
      description: { ...description, parameters: { total: countParameters(mixer.init(randomKey(0))) } },
      panels: [],
    };
  }
  return { description, panels: [] };
}

/** @throws UsageError for flags that nothing found has */
function checkFlags(found: readonly Found[], options: Given & Readonly<Record<string, unknown>>): void {
  const isModel = found.some(({ is }) => is === "models");
  const attention = found.filter(({ is }) => is === "patterns" || is === "mechanisms");
  const given = [...givenFlags(options, modelFlags).keys()];
  const ofModels = isModel ? given : attention.length > 0 ? placeFlags : [];
  const others = new Set([...given, ...givenAttentionFlags(options).keys()].filter((flag) => !ofModels.includes(flag)));
  // Other kinds of things take the flags of a whole run, which tell them nothing.
  const misplaced = attention.length > 0 || isModel ? misplacedOptions(found, others) : [];
  const names = found.map(({ name }) => name).join(" and ");
  if (options.direction !== undefined && attention.length === 0)
    misplaced.push(`--direction does not go with ${names}`);
  if (options.svg !== undefined && found.every(({ is }) => is !== "patterns")) {
    misplaced.push(`--svg draws patterns, which ${names} is not; tsformers list patterns shows them`);
  }
  if (misplaced.length > 0) throw new UsageError(misplaced.join("\n"));
}

function placeOf(
  directions: readonly ("causal" | "bidirectional")[],
  models: ReadonlyMap<string, unknown>,
  { direction }: Given,
): Place {
  const {
    length = 64,
    layers = 4,
    heads = 4,
    "model-width": modelWidth = 256,
  } = Object.fromEntries(models) as Record<string, number | undefined>;
  for (const [flag, value] of Object.entries({ length, layers, heads, "model-width": modelWidth })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new UsageError(`--${flag}: expected a whole number of at least 1, got ${value}`);
    }
  }
  if (modelWidth % heads !== 0) throw new UsageError(`--heads ${heads} does not divide --model-width ${modelWidth}`);
  return { length, layers, heads, modelWidth, causal: (direction ?? directions[0]) === "causal" };
}

async function writeSvg(file: string, panels: readonly Panel[], told: readonly Told[]): Promise<void> {
  const length = told.find(({ description }) => description.pattern !== undefined)!.description.pattern!.length;
  await writeFileAtomic(file, patternSvg(panels, length));
}

function find(name: string): Found[] {
  const [is, own] = name.includes("/") ? (name.split("/") as [string, string]) : [undefined, name];
  const found = Object.entries(catalogues).flatMap(([title, entries]: [string, Catalogue]) =>
    (is === undefined || is === title) && Object.hasOwn(entries, own)
      ? [{ is: title, name: own, entry: entries[own]! }]
      : [],
  );
  if (found.length > 0) return found;
  const known = [...new Set(Object.values(catalogues).flatMap((entries) => Object.keys(entries)))];
  const near = nearest(own, known);
  throw new UsageError(
    `describe: nothing is called ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}\n\`tsformers list\` shows every name`,
  );
}

function describe(is: string, name: string, entry: Entry): Description {
  const texts = Object.entries(entry).flatMap(([key, value]) => {
    if (key === "name") return [];
    const text =
      key === "exponent"
        ? powerOf(value)
        : Array.isArray(value)
          ? value.join(" and ")
          : describable(value)
            ? shown(value)
            : undefined;
    return text === undefined ? [] : [[key, text] as const];
  });
  const options = Object.entries(schemaTree(entry.options()).properties ?? {}).map(([option, node]) => ({
    name: option,
    description: node.description ?? "",
    ...(node.default === undefined ? {} : { default: node.default }),
  }));
  return { name, is, about: Object.fromEntries(texts), options };
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

async function parametersOf(
  name: ModelName,
  given: ReadonlyMap<string, unknown>,
  vocabularySize: number,
): Promise<number> {
  const raw = withFlags({ model: { kind: name } }, modelFlags, given) as Record<string, never>;
  const misplaced = misplacedFlags(raw, modelFlags, given.keys());
  if (misplaced.length > 0) throw new UsageError(misplaced.join("\n"));
  const { model: choice, position, length = 128 } = parseRunConfig(raw, "flags");
  const model = await makeModel({ model: choice, position, length }, vocabularySize);
  return countParameters(model.init(randomKey(0)));
}

const labels: Readonly<Record<string, string>> = {
  exponent: "grows as",
  decodeState: "decode state",
  anyPosition: "any position scheme",
  beyond: "beyond the training length",
};

function render({ name, is, about, options, parameters, pattern }: Description, terminal: Terminal): string {
  const { summary = "", ...rest } = about;
  const facts = Object.entries(rest).map(([key, text]) => [labels[key] ?? key, text] as const);
  const settings = options.map(({ name: option, description, default: standard }) => {
    return [
      `--${kebab(option)}`,
      `${description}${standard === undefined ? "" : ` (default: ${[standard].flat().join(",")})`}`,
    ] as const;
  });
  const of = parameters?.vocabularySize === undefined ? "with" : `with ${parameters.vocabularySize} tokens and`;
  const count: (readonly [string, string])[] =
    parameters === undefined
      ? []
      : [["parameters", `${parameters.total.toLocaleString("en-US")} ${of} the options given`]];
  const counted = pattern === undefined ? [] : patternFacts(pattern);
  return [
    `${terminal.bold(name)} (${is.replace(/s$/, "")})`,
    wrapText(summary, terminal.columns),
    "",
    definitionList([...facts, ...count, ...counted], terminal.columns),
    ...(settings.length === 0 ? [] : ["", terminal.bold("Options"), definitionList(settings, terminal.columns)]),
  ].join("\n");
}
