import * as z from "zod";
import { models } from "../catalogue/models.ts";
import { optimisers } from "../catalogue/optimisers.ts";
import { schedules } from "../catalogue/schedules.ts";
import { tasks } from "../catalogue/tasks.ts";
import { exactCount, positionCount, rowCount, scoredCount, stepCount } from "../schema/count.ts";
import { explain, type NameOf, quotedPath } from "../schema/explain.ts";
import { type Choice, choiceSchema } from "./catalogue.ts";
import { ConfigError } from "./config-error.ts";
import { checkpointChoice } from "./model.ts";
import { objectiveChoices } from "./objective-choices.ts";
import { openParts, partNames, partRefusal, partSchemas, splitParts, wrongCount } from "./parts.ts";

/** Parameters and rates are float32. */
const largest = 1e38;

/**
 * A whole training run as data: what `config.json` holds and what the flags of the command line set. Flags, their help
 * and their defaults are made from this schema.
 */
const schema = z.strictObject({
  task: choiceSchema(tasks, { elsewhere: ["length", "seed"] })
    .prefault({ kind: "text" })
    .describe("what is learned"),
  model: choiceSchema(models, {
    elsewhere: ["vocabularySize", "length"],
    nested: partSchemas,
    further: [checkpointChoice],
  })
    .prefault({ kind: "gpt" })
    .describe("the network"),
  objective: choiceSchema(objectiveChoices)
    .optional()
    .describe("what the model is trained for. Default: the usual one of the model on the task"),
  from: z
    .string()
    .optional()
    .describe("a run or a Hugging Face checkpoint to start from, with its model, tokenizer and parameters"),
  length: positionCount().optional().describe("tokens in a training row. Default: the task's own"),
  steps: stepCount().default(1000).describe("updates to make"),
  batchSize: rowCount().default(16).describe("rows in an update"),
  microBatches: rowCount()
    .optional()
    .describe(
      "parts an update's rows are worked through in, to save memory. Default: as suits the device; `tsformers train` tries what is fastest before a long run",
    ),
  optimiser: choiceSchema(optimisers).prefault({ kind: "adamw" }).describe("the update rule"),
  learningRate: z.number().positive().max(largest).default(1e-3).describe("peak of the schedule"),
  schedule: choiceSchema(schedules)
    .prefault({ kind: "cosine" })
    .describe("how the learning rate changes over the steps"),
  clip: z
    .number()
    .nonnegative()
    .max(largest)
    .default(1)
    .describe("largest norm of all gradients together; 0 leaves them as they are"),
  labelSmoothing: z.number().min(0).max(0.999).default(0).describe("share of the target moved to all other tokens"),
  ema: z
    .number()
    .min(0)
    .max(0.99999)
    .default(0)
    .describe("decay of averaged parameters, used in evaluation; 0 is none"),
  evalEvery: stepCount().default(100).describe("steps between evaluations"),
  evalTokens: scoredCount()
    .default(8192)
    .describe("tokens of an evaluation during training; at least 64 rows where each has a class"),
  patience: exactCount(0).default(0).describe("evaluations without improvement before stopping early; 0 never stops"),
  checkpointEvery: stepCount().default(200).describe("steps between checkpoints"),
  keep: exactCount().default(2).describe("checkpoints that are kept"),
  seed: exactCount(0).default(0).describe("of parameters, dropout and training examples"),
  device: z.enum(["cpu", "webgpu", "cuda"]).default("cpu").describe("where it runs"),
});

/** {@link RunConfig} as a schema, for flags and editors. */
export const runSchema: z.ZodObject = schema;

/** A configuration with every default filled in. */
export type RunConfig = {
  readonly task: Choice;
  readonly model: Choice;
  readonly objective?: Choice | undefined;
  readonly from?: string | undefined;
  readonly length?: number | undefined;
  readonly steps: number;
  readonly batchSize: number;
  readonly microBatches?: number | undefined;
  readonly optimiser: Choice;
  readonly learningRate: number;
  readonly schedule: Choice;
  readonly clip: number;
  readonly labelSmoothing: number;
  readonly ema: number;
  readonly evalEvery: number;
  readonly evalTokens: number;
  readonly patience: number;
  readonly checkpointEvery: number;
  readonly keep: number;
  readonly seed: number;
  readonly device: "cpu" | "webgpu" | "cuda";
};

/** What a user may write: everything may be left out. */
export type RunConfigInput = { readonly [Setting in keyof RunConfig]?: RunConfig[Setting] | undefined };

/**
 * Checks a configuration and fills in the defaults.
 *
 * @param nameOf what settings are called where they were given. Default: their dotted path in quotes
 * @throws Error naming every setting that is wrong, with the nearest known name where one is mistyped
 */
export function parseRunConfig(given: unknown, source: string, nameOf: NameOf = quotedPath): RunConfig {
  const input = spelledOut(given);
  const refused = refusedParts(input, nameOf);
  if (refused.length > 0) throw new ConfigError(`${source}: ${refused.join("\n  ")}`);
  // The type says what the schema makes; the compiler compares the two here.
  const checked: z.ZodType<RunConfig, RunConfigInput> = schema;
  const result = checked.safeParse(input, { reportInput: true });
  if (!result.success) throw new ConfigError(`${source}: ${explain(result.error, schema, nameOf).join("\n  ")}`);
  const { batchSize, microBatches = 1, model } = result.data;
  const wrong = layerCounts(model, nameOf);
  if (batchSize % microBatches !== 0)
    wrong.push(`${nameOf(["microBatches"])} must divide the batch of ${batchSize} rows, got ${microBatches}`);
  if (wrong.length > 0) throw new ConfigError(`${source}: ${wrong.join("\n  ")}`);
  return result.data;
}

const choices: ReadonlySet<string> = new Set(["task", "model", "objective", "optimiser", "schedule", ...partNames]);

/** Settings in which choices that are only named, `"mixer": "performer"`, are written as what they are short for, `{ "kind": "performer" }`. */
export function spelledOut(settings: unknown): unknown {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) return settings;
  const choice = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(choice);
    return typeof value === "string" ? { kind: value } : spelledOut(value);
  };
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, choices.has(name) ? choice(value) : value]),
  );
}

/** Parts of a model that it has itself. */
function refusedParts(input: unknown, nameOf: NameOf): string[] {
  const { data: { model } = {} } = looseModel.safeParse(input);
  if (model === undefined || !Object.hasOwn(models, model.kind)) return [];
  const open = openParts(model.kind);
  return partNames
    .filter((part) => model[part] !== undefined && !open.includes(part))
    .map((part) => `${nameOf(["model", part])}: ${partRefusal(model.kind, part)}`);
}

const looseModel = z.looseObject({ model: z.looseObject({ kind: z.string() }) });

/** Parts that are named for another number of layers than the model has. */
function layerCounts(model: Choice, nameOf: NameOf): string[] {
  const { chosen, options } = splitParts(model);
  return partNames.flatMap((part) => {
    const own = chosen[part];
    if (own === undefined || typeof options.layers !== "number") return [];
    const wrong = wrongCount(part, own, options.layers);
    return wrong === undefined ? [] : [`${nameOf(["model", part])} ${wrong}`];
  });
}
