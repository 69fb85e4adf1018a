import { flatten, isNdArray, randomKey, trace } from "@tsformers/engine";
import * as z from "zod";
import { evaluation } from "../kinds/layer.ts";
import { ConfigError, type RunConfig } from "../run/config.ts";
import { type PreparedRun, prepareRun } from "../run/prepare.ts";
import { withAbsolutePaths } from "../run/train-run.ts";
import { CombinationError } from "../schema/combination-error.ts";
import { present } from "../schema/present.ts";
import type { Task } from "../tasks/task.ts";
import { readTextData } from "../tasks/text/text-data.ts";
import type { ReadText } from "../tasks/text/tokenized-text.ts";
import { fingerprint } from "./fingerprint.ts";
import type { Plan } from "./plan.ts";
import type { Variant } from "./variants.ts";

/** What is compared, and how far it is measured. */
export type CompareOptions = {
  /** At least one; labels differ. */
  readonly variants: readonly Variant[];
  /** Runs of each variant, with seeds from its own on. */
  readonly seeds: number;
  /** Multiples of the shortest training length at which loss, speed and memory are measured. */
  readonly multiples: readonly number[];
  /** Tokens of each final evaluation. Default: the task's own number. */
  readonly testTokens?: number;
  /** Tokens that each variant is trained on, in place of its steps. */
  readonly budgetTokens?: number;
};

/** A comparison that can be made: each variant was put together and fits its task. */
export type PreparedComparison = {
  readonly plan: Plan;
  /** The task of each variant. */
  readonly tasks: readonly Task[];
  /** Texts that were read, by the labels of the variants that learn them; `key` is the same for the same text. */
  readonly texts: ReadonlyMap<string, { readonly key: string; readonly read: ReadText }>;
};

/** Settings of a task that reads data. */
const readsData = z.object({
  data: z.string(),
  tokens: z.enum(["character", "byte", "bpe", "word"]),
  vocabulary: z.number().optional(),
  tokenizer: z.string().optional(),
  splits: z.enum(["position", "names"]).optional(),
  extensions: z.array(z.string()),
});

/**
 * Reads the data, once, and makes the model and the task of each variant.
 *
 * @throws ConfigError naming each variant that cannot be trained or measured, and why; FileError for data that cannot be read
 */
export async function prepareComparison(options: CompareOptions): Promise<PreparedComparison> {
  const known = new Map<string, ReadText>();
  const texts = new Map<string, { key: string; read: ReadText }>();
  const prepared: Labelled[] = [];
  const failures: { label: string; message: string }[] = [];
  for (const { label, config } of options.variants) {
    const { data: source } = readsData.safeParse(config.task);
    const key = `text-${fingerprint(source ?? null)}`;
    const read = source === undefined ? undefined : (known.get(key) ?? (await readTextData(source)));
    if (read !== undefined) {
      known.set(key, read);
      texts.set(label, { key, read });
    }
    try {
      const run = await prepareRun(withAbsolutePaths(config), read === undefined ? {} : { text: read });
      requireRows(run, options);
      requireTrace(run);
      prepared.push({ label, run });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      failures.push({ label, message: error.message });
    }
  }
  requireNone(failures, options.variants.length);
  requireSameFigures(prepared);
  requireSameObjective(prepared);
  const { seeds, testTokens, budgetTokens } = options;
  const base = Math.min(...prepared.map(({ run }) => run.config.length));
  return {
    tasks: prepared.map(({ run }) => run.task),
    texts,
    plan: {
      variants: prepared.map(({ label, run: { config, task } }) => ({
        label,
        config: budgetTokens === undefined ? config : { ...config, steps: stepsFor(config, budgetTokens) },
        data: task.fingerprint,
      })),
      seeds,
      lengths: [...new Set(options.multiples)].sort((a, b) => a - b).map((multiple) => multiple * base),
      ...present({ testTokens }),
    },
  };
}

function stepsFor({ batchSize, length }: RunConfig & { readonly length: number }, tokens: number): number {
  return Math.max(1, Math.ceil(tokens / (batchSize * length)));
}

/** Errors that say that things do not fit; others are defects, or of the machine. */
function isRefusal(error: unknown): error is Error {
  return error instanceof ConfigError || error instanceof RangeError || error instanceof CombinationError;
}

function requireNone(failures: readonly { label: string; message: string }[], variants: number): void {
  if (failures.length === 0) return;
  const messages = new Set(failures.map(({ message }) => message));
  // What is wrong with all of them alike is none's own.
  if (messages.size === 1 && failures.length === variants) throw new ConfigError(failures[0]!.message);
  const lines = failures.map(({ label, message }) =>
    message.startsWith(`${label}: `) ? message : `${label}: ${message}`,
  );
  throw new ConfigError(lines.join("\n"));
}

/** Asks for what a run will be trained and measured on, so that it fails now. */
function requireRows({ config: { batchSize, length }, view }: PreparedRun, { testTokens }: CompareOptions): void {
  const limit = testTokens === undefined ? {} : { limit: Math.max(testTokens, length) };
  view.evalBatches("valid", { batchSize, length });
  view.evalBatches("test", { batchSize, length, ...limit });
}

/** Traces the loss: parts of a model that do not go together say so when they meet. */
function requireTrace({ objective, view, config: { batchSize, length } }: PreparedRun): void {
  const given = [
    objective.init(randomKey(0)),
    view.trainBatch(1, batchSize, length),
    objective.startMemories?.(batchSize),
  ];
  const { leaves, structure } = flatten([given], isNdArray);
  const loss = ([params, batch, memories]: [never, never, never]) =>
    objective.loss(params, batch, evaluation, memories).total;
  trace(loss, structure, leaves);
}

/** Losses of different questions do not compare; with segments, the next token is asked for as well. */
function requireSameObjective(prepared: readonly Labelled[]): void {
  const odd = oddOne(prepared, ({ kind }) => (kind === "segments" ? "next" : kind));
  if (odd === undefined) return;
  const [first, other] = odd;
  throw new ConfigError(
    `${first.label} is trained for ${first.run.kind}, ${other.label} for ${other.run.kind}: their losses do not compare; name an objective for all, such as --objective masked`,
  );
}

function requireSameFigures(prepared: readonly Labelled[]): void {
  const figures = (run: PreparedRun) => run.task.metrics.map(({ name }) => name).join(", ");
  const odd = oddOne(prepared, figures);
  if (odd === undefined) return;
  const [first, other] = odd;
  throw new ConfigError(
    `${first.label} is measured by ${figures(first.run)}, ${other.label} by ${figures(other.run)}: they do not compare`,
  );
}

type Labelled = { readonly label: string; readonly run: PreparedRun };

/** The first variant and one that has something else than it; undefined where all have the same. */
function oddOne(prepared: readonly Labelled[], of: (run: PreparedRun) => string): [Labelled, Labelled] | undefined {
  const [first] = prepared;
  const other = prepared.find(({ run }) => of(run) !== of(first!.run));
  return first === undefined || other === undefined ? undefined : [first, other];
}
