import * as z from "zod";
import { readJsonFile } from "../io/read-json.ts";
import { type AnswerSizes, answerSizes } from "../objectives/index.ts";
import { present } from "../schema/present.ts";
import type { Task } from "../tasks/task.ts";
import { readTokenizerConfig, type Tokenizer, type TokenizerConfig } from "../tokenizers/index.ts";
import { ConfigError } from "./config-error.ts";
import type { Reading } from "./prepare.ts";

/**
 * What a run keeps of its task in `task.json`: enough to generate, export and inspect without the data, and to tell whether other data
 * are those it was trained on.
 */
export type TaskRecord = {
  readonly name: string;
  /** Equal for equal data and options of the task. */
  readonly fingerprint: string;
  readonly vocabularySize: number;
  /** T of training rows. */
  readonly length: number;
  /** Present if tokens represent text. */
  readonly tokenizer?: TokenizerConfig | undefined;
  /** First token of targets, if the task has sources and targets. */
  readonly startToken?: number | undefined;
  /** Ends what is written, if the task has such a token. */
  readonly endToken?: number | undefined;
} & AnswerSizes;

const count = z.int().positive();
const decisions = z.strictObject({
  features: count,
  actions: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("discrete"), count }),
    z.strictObject({ kind: z.literal("continuous"), width: count, low: z.number(), high: z.number() }),
  ]),
  longest: count,
  states: z.strictObject({ mean: z.array(z.number()), deviation: z.array(z.number().nonnegative()) }).optional(),
  returnScale: z.number().positive().optional(),
});
const quantity = z.strictObject({
  features: count,
  side: count.optional(),
  error: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("absolute"), unit: z.number().positive() }),
    z.strictObject({ kind: z.literal("poisson"), most: count }),
  ]),
});
const schema = z.strictObject({
  name: z.string(),
  fingerprint: z.string(),
  vocabularySize: count,
  length: count,
  tokenizer: z.unknown().optional(),
  startToken: z.int().nonnegative().optional(),
  endToken: z.int().nonnegative().optional(),
  classes: count.optional(),
  features: count.optional(),
  components: count.optional(),
  separator: z.int().nonnegative().optional(),
  longest: count.optional(),
  quantity: quantity.optional(),
  decisions: decisions.optional(),
  shape: z.strictObject({ rows: count, columns: count, channels: count, levels: count }).optional(),
});

export function recordOf(
  { name, fingerprint, length, tokenizer, endToken, views }: Task,
  { kind, model: { vocabularySize } }: Pick<Reading, "kind" | "model">,
): TaskRecord {
  const { pairs } = views;
  return {
    name,
    fingerprint,
    vocabularySize,
    length,
    ...(tokenizer !== undefined && { tokenizer: tokenizer.config }),
    ...(pairs !== undefined && { startToken: pairs.trainBatch(1, 1).inputs.toNumbers()[0]! }),
    ...present({ endToken }),
    ...answerSizes(kind, views),
  };
}

/** @throws FileError when it is missing or malformed */
export function readTaskRecord(path: string): TaskRecord {
  const { tokenizer, ...record } = readJsonFile(path, schema);
  return tokenizer === undefined ? record : { ...record, tokenizer: readTokenizerConfig(tokenizer, path) };
}

/**
 * Makes sure that data are those that a run was trained on.
 *
 * @throws ConfigError with the fingerprints of both
 */
export function requireSameData(directory: string, record: TaskRecord, task: Task): void {
  if (record.fingerprint === task.fingerprint) return;
  throw new ConfigError(
    `${directory}: the data are not those that the run was made with; they were\n  ${record.fingerprint}\nand are now\n  ${task.fingerprint}\n--data gives the path of the run's own data; \`eval --other-data\` measures on others, and \`train NEW --from ${directory} --data OTHER\` trains on them`,
  );
}

/**
 * Makes sure that a text is read with the tokens of the model: an alphabet made from the text would number
 * characters differently from the checkpoint. Bytes have the same numbers everywhere.
 *
 * @throws ConfigError naming the checkpoint's folder
 */
export function requireOwnTokens(directory: string, own: Tokenizer | undefined, { name, tokenizer }: Task): void {
  if (own !== undefined || tokenizer === undefined || tokenizer.config.kind === "byte") return;
  throw new ConfigError(
    `${directory}: has no tokenizer (tokenizer.json), so the meaning of its tokens is unknown; task ${name} can only be read as bytes, with --tokens byte`,
  );
}
