import { randomKey } from "@tsformers/engine";
import { Command } from "commander";
import type { ModelName } from "../models/index.ts";
import type { Catalogue, Entry } from "../run/catalogue.ts";
import { parseRunConfig, runSchema } from "../run/config.ts";
import { countParameters } from "../run/count-parameters.ts";
import { schemaTree } from "../run/explain.ts";
import { flagsOf, kebab, misplacedFlags, withFlags } from "../run/flags.ts";
import { makeModel } from "../run/model.ts";
import { nearest } from "../run/nearest.ts";
import { catalogues } from "./catalogues.ts";
import { addFlags, givenFlags, parseCount } from "./config-flags.ts";
import { UsageError } from "./exit.ts";
import { definitionList, type Terminal, wrapText } from "./terminal.ts";

const modelFlags = flagsOf(runSchema.pick({ model: true, position: true, length: true })).filter(
  ({ name }) => name !== "model",
);

type Description = {
  readonly name: string;
  readonly is: string;
  readonly about: Readonly<Record<string, string>>;
  readonly options: readonly { readonly name: string; readonly description: string; readonly default?: unknown }[];
  readonly parameters?: { readonly total: number; readonly vocabularySize: number };
};

/** `tsformers describe NAME`: what it is, its paper, formula, cost and options. */
export function describeCommand(terminal: Terminal): Command {
  const command = new Command("describe")
    .description("tell what a model, position scheme, task, optimiser or schedule is")
    .argument("<name>", "a name from `tsformers list`; models/t5 where two things have one name")
    .option("--vocabulary-size <n>", "tokens, for the count of parameters", parseCount(2), 256)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tsformers describe alibi\n  tsformers describe gpt --layers 12 --model-width 768 --heads 12 --vocabulary-size 50257",
    );
  addFlags(command, modelFlags);
  return command.action(async (name: string, options: { vocabularySize: number; json?: true }) => {
    const found = find(name);
    const given = givenFlags(options, modelFlags);
    const descriptions = await Promise.all(
      found.map(async ({ is, name: own, entry }): Promise<Description> => {
        const description = describe(is, own, entry);
        if (is !== "models") return description;
        const total = await parametersOf(own as ModelName, given, options.vocabularySize);
        return { ...description, parameters: { total, vocabularySize: options.vocabularySize } };
      }),
    );
    if (options.json) terminal.out(JSON.stringify(descriptions, null, 2));
    else terminal.out(descriptions.map((description) => render(description, terminal)).join("\n\n"));
  });
}

function find(name: string): { is: string; name: string; entry: Entry }[] {
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
  const texts = Object.entries(entry).flatMap(([key, value]) =>
    describable(value) ? [[key, shown(value)] as const] : [],
  );
  const options = Object.entries(schemaTree(entry.options).properties ?? {}).map(([option, node]) => ({
    name: option,
    description: node.description ?? "",
    ...(node.default === undefined ? {} : { default: node.default }),
  }));
  return { name, is, about: Object.fromEntries(texts), options };
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
  anyPosition: "any position scheme",
  beyond: "beyond the training length",
};

function render({ name, is, about, options, parameters }: Description, terminal: Terminal): string {
  const { summary = "", ...rest } = about;
  const facts = Object.entries(rest).map(([key, text]) => [labels[key] ?? key, text] as const);
  const settings = options.map(({ name: option, description, default: standard }) => {
    return [
      `--${kebab(option)}`,
      `${description}${standard === undefined ? "" : ` (default: ${[standard].flat().join(",")})`}`,
    ] as const;
  });
  const count =
    parameters === undefined
      ? []
      : ([
          [
            "parameters",
            `${parameters.total.toLocaleString("en-US")} with ${parameters.vocabularySize} tokens and the options given`,
          ],
        ] as const);
  return [
    `${terminal.bold(name)} (${is.replace(/s$/, "")})`,
    wrapText(summary, terminal.columns),
    "",
    definitionList([...facts, ...count], terminal.columns),
    ...(settings.length === 0 ? [] : ["", terminal.bold("Options"), definitionList(settings, terminal.columns)]),
  ].join("\n");
}
