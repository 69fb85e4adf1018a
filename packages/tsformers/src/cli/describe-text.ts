import type { Panel } from "../attention/patterns/draw.ts";
import { objectives } from "../objectives/index.ts";
import { flagName } from "../run/flags.ts";
import { present } from "../schema/present.ts";
import type { TaskExample } from "../tasks/example.ts";
import { runFlags } from "./config-flags.ts";
import { type PatternReport, patternFacts } from "./describe-pattern.ts";
import { type Found, isOpenPart, isOwn } from "./described.ts";
import { flagTerm, flagText, flagTextOf } from "./flag-help.ts";
import { type Told, toldPanels } from "./told.ts";

/** What is told of a name, before it is text. */
export type Description = {
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

export function describe(found: Found): Description {
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
export function objectivesText(views: readonly unknown[]): string {
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

const labels: Readonly<Record<string, string>> = {
  exponent: "grows as",
  decodeState: "decode state",
  refuses: "does not take",
  serves: "learns",
  beyond: "beyond the training length",
};

/** What is told of what was found. @param panels of a pattern */
export function toldOf(found: Found, description: Description, panels: readonly Panel[]): Told {
  const { name, is, about, parameters, pattern, example } = description;
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
  const section = (title: string, terms: readonly (readonly [string, string])[]) =>
    terms.length === 0 ? [] : [{ title, terms }];
  return {
    name,
    kind: is.replace(/s$/, ""),
    summary,
    facts: [...facts, ...own, ...count, ...counted],
    ...present({ example }),
    ...(pattern !== undefined && {
      pictures: { length: pattern.length, panels: toldPanels(panels, pattern.length) },
    }),
    sections: [...section("Settings", settings), ...section("Parts that it leaves open", open)],
    json: description,
  };
}
