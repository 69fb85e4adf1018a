import * as z from "zod";
import { count, exactCount, positionCount } from "../schema/count.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import type { Task } from "./task.ts";
import type { ReadText } from "./text.ts";

/** What a task is given besides its options. */
export type TaskContext = {
  /**
   * What tokens stand for, where a run or a checkpoint has settled that already. Without it a task of text makes its own
   * from the data; tasks that have no text pass over it.
   */
  readonly tokenizer?: Tokenizer;
  /** The text of the task's data, where it was read before; tasks that read no data pass over it. */
  readonly text?: ReadText;
  /** Hears what is passed over in the data and, when reading takes long, how far it is. Default: a line on stderr. */
  readonly note?: (line: string) => void;
};

/** A task as the catalogue knows it, before its code is loaded. */
export type TaskEntry = {
  readonly summary: string;
  /** What may be set; every option has a description, and unknown ones are errors. */
  options(): z.ZodObject;
  /** Checks the options and makes the task. @throws RangeError naming each option that does not fit, and why */
  load(options?: unknown, context?: TaskContext): Promise<Task>;
};

export type TaskName = "text" | "copy" | "reverse" | "recall";

const seed = exactCount(0).default(0).describe("draws the training examples; evaluation is the same under every seed");
const length = (tokens: number): z.ZodDefault<z.ZodInt> =>
  positionCount().default(tokens).describe("tokens in a training row");

const textOptions = z.strictObject({
  data: z
    .string()
    .optional()
    .describe("a text file, or a folder of them, each one a document; without it, text of a built-in grammar"),
  tokens: z.enum(["character", "byte"]).default("character").describe("what one token is"),
  extensions: z
    .array(z.string().regex(/^(\.\S+|\*)$/, 'an extension like ".txt", or "*" for every text file'))
    .min(1)
    .default([".txt", ".md"])
    .describe('which files of a folder are read; "*" is every text file'),
  length: length(128),
  seed,
});

const symbolCount = () => count(1_000_000, "the vocabulary is made in memory", 2);

const symbolOptions = z.strictObject({
  symbols: symbolCount().default(10).describe("how many different symbols there are"),
  length: length(64),
  shortest: positionCount()
    .optional()
    .describe("training prompts have from this many symbols to as many as fit; without it, always as many as fit"),
  seed,
});

const recallOptions = z.strictObject({
  keys: symbolCount().default(16).describe("how many different keys there are"),
  values: symbolCount().default(16).describe("how many different values there are"),
  length: length(64),
  seed,
});

/** Every task by name. Their code is loaded when a task is made. */
export const tasks: Readonly<Record<TaskName, TaskEntry>> = {
  text: entry("predict the next character or byte of any text", textOptions, async (options, context) => {
    const { data } = options;
    if (data !== undefined) return (await import("#files")).textDataTask({ ...options, data }, context);
    const [{ textTask }, { byteTokenizer, characterTokenizer }, { grammarText }] = await Promise.all([
      import("./text.ts"),
      import("../tokenizers/index.ts"),
      import("./grammar.ts"),
    ]);
    const made = options.tokens === "byte" ? byteTokenizer : characterTokenizer;
    const tokenizer = (text: string): Tokenizer => context.tokenizer ?? made(text);
    return textTask({ text: grammarText(), tokenizer, length: options.length, seed: options.seed });
  }),
  copy: entry("repeat a random sequence of symbols", symbolOptions, async (options) => {
    const { copyTask } = await import("./copy.ts");
    return copyTask(present(options));
  }),
  reverse: entry("give a random sequence of symbols back to front", symbolOptions, async (options) => {
    const { reverseTask } = await import("./reverse.ts");
    return reverseTask(present(options));
  }),
  recall: entry("look up values by their keys (associative recall)", recallOptions, async (options) => {
    const { recallTask } = await import("./recall.ts");
    return recallTask(options);
  }),
};

/**
 * Makes a task by name.
 * @throws RangeError when there is no such task or an option does not fit; what reading the data throws
 */
export async function createTask(name: string, options?: unknown, context?: TaskContext): Promise<Task> {
  if (!Object.hasOwn(tasks, name)) {
    throw new RangeError(`task: expected one of ${Object.keys(tasks).join(", ")}, got ${JSON.stringify(name)}`);
  }
  return tasks[name as TaskName].load(options, context);
}

function entry<O extends z.ZodObject>(
  summary: string,
  options: O,
  make: (options: z.output<O>, context: TaskContext) => Promise<Task>,
): TaskEntry {
  return {
    summary,
    options: () => options,
    load: async (raw = {}, context = {}) => make(parseOptions(options, raw, "task"), context),
  };
}

/** The options that were given: an absent one is absent, not undefined. */
function present({
  shortest,
  ...rest
}: z.output<typeof symbolOptions>): import("./sequence-to-sequence.ts").SymbolOptions {
  return shortest === undefined ? rest : { ...rest, shortest };
}
