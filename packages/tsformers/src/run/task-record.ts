import * as z from "zod";
import { readJsonFile } from "../io/read-json.ts";
import type { Task } from "../tasks/task.ts";
import { readTokenizerConfig, type Tokenizer, type TokenizerConfig } from "../tasks/tokenizer.ts";
import { ConfigError } from "./config.ts";

/**
 * What a run keeps of its task from the moment it is made, in `task.json`: enough to write, to export and to be looked at
 * without the data, and to tell other data from those it was made with.
 */
export type TaskRecord = {
  readonly name: string;
  /** Equal for equal data and options. */
  readonly fingerprint: string;
  readonly vocabularySize: number;
  /** T of training rows. */
  readonly length: number;
  /** Present where tokens stand for text. */
  readonly tokenizer?: TokenizerConfig | undefined;
  /** The token that targets begin with, where the task has a source and a target. */
  readonly startToken?: number | undefined;
};

const count = z.int().positive();
const schema = z.strictObject({
  name: z.string(),
  fingerprint: z.string(),
  vocabularySize: count,
  length: count,
  tokenizer: z.unknown().optional(),
  startToken: z.int().nonnegative().optional(),
});

export function recordOf(
  { name, fingerprint, length, tokenizer, views: { pairs } }: Task,
  vocabularySize: number,
): TaskRecord {
  return {
    name,
    fingerprint,
    vocabularySize,
    length,
    ...(tokenizer !== undefined && { tokenizer: tokenizer.config }),
    ...(pairs !== undefined && { startToken: pairs.trainBatch(1, 1).inputs.toNumbers()[0]! }),
  };
}

/** @throws FileError when it is missing or not of this form */
export function readTaskRecord(path: string): TaskRecord {
  const { tokenizer, ...record } = readJsonFile(path, schema);
  return tokenizer === undefined ? record : { ...record, tokenizer: readTokenizerConfig(tokenizer, path) };
}

/**
 * Makes sure that data are those that a run was made with.
 *
 * @throws ConfigError saying what both are
 */
export function requireSameData(directory: string, record: TaskRecord, task: Task): void {
  if (record.fingerprint === task.fingerprint) return;
  throw new ConfigError(
    `${directory}: the data are not those that the run was made with; they were\n  ${record.fingerprint}\nand are now\n  ${task.fingerprint}\n--data says where the run's own data are; \`eval --other-data\` measures on others, and \`train NEW --from ${directory} --data OTHER\` trains on them`,
  );
}

/**
 * Makes sure that a text is read with the tokens of the model that it goes into: an alphabet made from the text would number
 * characters as no checkpoint does. Bytes are numbered alike everywhere.
 *
 * @throws ConfigError naming the checkpoint's folder
 */
export function requireOwnTokens(directory: string, own: Tokenizer | undefined, { name, tokenizer }: Task): void {
  if (own !== undefined || tokenizer === undefined || tokenizer.config.kind === "byte") return;
  throw new ConfigError(
    `${directory}: has no tokenizer (tokenizer.json), so nobody knows what its tokens stand for; task ${name} can only be read as bytes, with --tokens byte`,
  );
}
