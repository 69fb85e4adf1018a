import type * as z from "zod";
import { count, exactCount, positionCount } from "../schema/count.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts } from "../schema/entry.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import type { Task } from "./task.ts";
import type { ReadText } from "./text/tokenized-text.ts";

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

type AboutTask = { readonly category: "data" | "generated" };

/** A task as the catalogue knows it. */
export type TaskEntry<Name extends string = string, Settings = unknown> = AboutTask &
  Entry<Name, Settings, [context?: TaskContext], Promise<Task>>;

type TaskParts<Name extends string, Schema extends z.ZodObject> = AboutTask &
  EntryParts<Name, Schema, [context: TaskContext], Task | Promise<Task>>;

/** The entry of a task: its data may take time to read. */
export function taskEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: TaskParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): TaskEntry<Name, Settings> {
  const own: TaskParts<Name, Schema> = parts;
  const { options, make } = checkedFunctions(own);
  return { ...own, options, make: async (settings, context = {}) => make(settings, context) };
}

/** The setting for what draws the training examples. */
export function seedOption(): z.ZodDefault<z.ZodInt> {
  return exactCount(0).default(0).describe("draws the training examples; evaluation is the same under every seed");
}

/** The setting for the length of training rows. */
export function lengthOption(standard: number): z.ZodDefault<z.ZodInt> {
  return positionCount().default(standard).describe("tokens in a training row");
}

/** A number of different symbols. */
export function symbolCount(): z.ZodInt {
  return count(1_000_000, "the vocabulary is made in memory", 2);
}
