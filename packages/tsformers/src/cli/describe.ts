import { statSync } from "node:fs";
import { randomKey } from "@tsformers/engine";
import { Command, Option } from "commander";
import * as z from "zod";
import { type Panel, patternSvg } from "../attention/patterns/draw.ts";
import { entryOf } from "../catalogue/catalogue-of.ts";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { usualPictureLength } from "../models/model-entry.ts";
import type { RunConfig } from "../run/config.ts";
import { countParameters } from "../run/count-parameters.ts";
import { flagName, type GivenFlags } from "../run/flags.ts";
import { makeModel } from "../run/model.ts";
import { type PartName, partNames, parts, splitParts, takersOf } from "../run/parts.ts";
import { taskOf } from "../run/prepare.ts";
import { exampleOf } from "../tasks/example.ts";
import type { Task } from "../tasks/index.ts";
import { addFlags, givenFlags, parseCount, parseCounts, runFlags } from "./config-flags.ts";
import { reportPattern } from "./describe-pattern.ts";
import { systemNamed, toldSystem } from "./describe-system.ts";
import { type Description, describe, objectivesText, toldOf } from "./describe-text.ts";
import { configOf, directionsOf, type Found, find, type Given, named, placeFlags, requireUse } from "./described.ts";
import { UsageError } from "./exit.ts";
import { givenPrompt } from "./generate-prompt.ts";
import type { Terminal } from "./terminal.ts";
import { printTold, type Told } from "./told.ts";

/**
 * `tsformers describe NAME`: what it is, its paper, formula, cost and settings; of a pattern also its picture and what it costs; of a run's
 * folder what it has learned that can be told.
 */
export function describeCommand(terminal: Terminal): Command {
  const command = new Command("describe")
    .argument(
      "<name>",
      "a name from `tsformers list`; models/t5 where two things have one name; or the folder of a run",
    )
    .option("--vocabulary-size <n>", "tokens, for the count of a model's parameters", parseCount(2), usualVocabulary)
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
      return printTold([toldSystem(system)], options, terminal);
    }
    if (isRun(name)) return tellRun(name, given, options, terminal);
    const found = find(name);
    requireUse(found, given, options);
    const described: Described[] = [];
    for (const one of found) described.push(await tell(one, given, options));
    if (options.svg !== undefined) await writeSvg(options.svg, described);
    const told = described.map(({ found, description, panels }) => toldOf(found, description, panels));
    printTold(told, options, terminal);
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

/** What is told without any flag. */
export async function toldByDefault(found: Found): Promise<Told> {
  const { description, panels } = await tell(found, new Map(), { vocabularySize: usualVocabulary });
  return toldOf(found, description, panels);
}

/** Tokens for which the parameters of a model are counted, unless told otherwise. */
const usualVocabulary = 256;

type Described = { readonly found: Found; readonly description: Description; readonly panels: readonly Panel[] };

async function tell(found: Found, given: GivenFlags, options: Given): Promise<Described> {
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
    // Vectors and parts of episodes are no tokens.
    ...(views.points === undefined &&
      views.quantities === undefined &&
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

const sizes = z.object({ layers: z.int(), heads: z.int(), modelWidth: z.int() });

function sizesOf({ model }: RunConfig): z.output<typeof sizes> {
  return sizes.parse(model);
}

async function writeSvg(file: string, described: readonly Described[]): Promise<void> {
  const { length } = described.find(({ description }) => description.pattern !== undefined)!.description.pattern!;
  await writeFileAtomic(
    file,
    patternSvg(
      described.flatMap(({ panels }) => panels),
      length,
    ),
  );
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
