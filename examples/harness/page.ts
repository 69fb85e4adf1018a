import type { Pattern } from "tsformers/kinds";
import { type Panel, panelsOf, patternSvg } from "tsformers/patterns";
import { type AnyModel, makeModel } from "tsformers/run";
import type { Preset, SystemEntry } from "tsformers/systems";
import type { Result } from "./result.ts";

/** Positions in a picture. */
export const pictureLength = 64;

/** What the layers of a system see, or what it says itself. */
export async function picturesOf(system: SystemEntry): Promise<readonly Panel[]> {
  if (system.picture !== undefined) return system.picture(pictureLength);
  const { run, vocabularySize } = system.presets.small;
  const { heads = 4 } = run.model as { readonly heads?: number };
  const made: AnyModel = await makeModel({ model: run.model, length: run.length ?? 128 }, vocabularySize);
  if (!("patterns" in made))
    throw new Error(`${system.name}: expected a picture in its entry, since its model tells no patterns`);
  // Layers that see the same share a picture.
  const drawn = made.patterns.map((pattern) => patternSvg([{ title: "", pattern }], pictureLength));
  const alike = (layer: number): Pattern => made.patterns[drawn.indexOf(drawn[layer]!)]!;
  return panelsOf(alike, { layers: made.patterns.length, heads });
}

/** The page of a system in `docs/systems`, from its entry and what its example reached. */
export function systemPage(
  system: SystemEntry,
  {
    counts,
    results,
  }: {
    readonly counts: Readonly<Record<"small" | "paper", number>>;
    readonly results: Readonly<Record<string, Result>>;
  },
): string {
  const { name, title, paper, formula, cost, use, sees, differs, presets, golden, source, summary } = system;
  const examples = examplesOf(system);
  const section = (heading: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ["", `## ${heading}`, "", ...lines];
  const sourceLink = `[src/${source}](../../packages/tsformers/src/${source})`;
  const exampleLink = (example: string): string =>
    `[examples/systems/${example}.ts](../../examples/systems/${example}.ts): \`npm run examples -- ${example}\``;
  return [
    `# ${title}`,
    "",
    `${capital(summary)}. It is for ${use}.`,
    "",
    `| | |`,
    "|---|---|",
    `| paper | ${paper} |`,
    `| cost | ${cost} |`,
    `| causal | ${system.causal ? "yes" : "no"} |`,
    `| source | ${sourceLink} |`,
    `| proved against | ${golden.length === 0 ? "its definition in the tests" : golden.map((fixture) => `\`${fixture}\``).join(", ")} |`,
    ...examples.map((example) => `| example | ${exampleLink(example)} |`),
    ...section("Formula", ["```", formula, "```"]),
    ...section("What a position sees", [
      `${capital(sees)}.`,
      "",
      `![queries from top to bottom, keys from left to right](images/${name}.svg)`,
    ]),
    ...section("Presets", [
      "| preset | what it is | parameters | published |",
      "|---|---|---|---|",
      presetRow("small", presets.small, counts.small),
      presetRow("paper", presets.paper, counts.paper),
      "",
      "```sh",
      `tsformers describe systems/${name}`,
      ...(isTrained(system) ? [`tsformers train runs/${name} --preset ${name}`] : []),
      "```",
    ]),
    ...section(
      "How it differs from the paper",
      differs.map((line) => `- ${line}`),
    ),
    ...examples.flatMap((example, i) => {
      const result = results[example];
      const heading = i === 0 ? "What its example reaches" : `What \`${example}\` reaches`;
      return result === undefined ? [] : section(heading, resultLines(result));
    }),
    "",
  ].join("\n");
}

/** The examples that prove a system. */
export function examplesOf({ example, moreExamples = [] }: SystemEntry): readonly string[] {
  return [example, ...moreExamples];
}

/** The table of all systems. */
export function systemIndex(systems: readonly SystemEntry[], results: Readonly<Record<string, Result>>): string {
  const rows = systems.map(({ name, title, year, category, use, example }) => {
    const { ours, plain, measure } = results[example]!;
    const cells = [`[${title}](${name}.md)`, String(year), category, use, `${ours} against ${plain} (${measure})`];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return [
    "# Systems",
    "",
    "Made by `npm run docs`; [how a system is written](../systems.md), [all results](../results.md).",
    "",
    "| system | year | kind | for | reached, against a plain model of equal size |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

/** Whether the command trains it. */
function isTrained({ init }: SystemEntry): boolean {
  return init === undefined;
}

function presetRow(name: string, { about, published = "–" }: Preset, parameters: number): string {
  return `| ${name} | ${about} | ${parameters.toLocaleString("en-US")} | ${published} |`;
}

function resultLines({ measure, better, ours, plain, plainIs, target, size, paper, figures = {} }: Result): string[] {
  return [
    `${capital(measure)} (${better} is better): **${ours}**, against ${plain} of ${plainIs}; the target is ${target}. ${capital(size)}.`,
    "",
    `The paper, at its scale: ${paper}.`,
    ...(Object.keys(figures).length === 0
      ? []
      : ["", ...Object.entries(figures).map(([figure, value]) => `- ${figure}: ${value}`)]),
  ];
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
