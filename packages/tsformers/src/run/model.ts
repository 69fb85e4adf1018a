import * as z from "zod";
import { entryOf } from "../catalogue/catalogue-of.ts";
import { positions } from "../catalogue/positions.ts";
import type { CheckpointConfig } from "../io/hugging-face/architecture.ts";
import type { Architecture } from "../io/hugging-face/format.ts";
import { type ModelEntry, type ModelName, models } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import type { PositionEntry } from "../position/index.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { Choice } from "./catalogue.ts";

/** What a model is built from; `length` is that of training rows. */
export type ModelChoice = { readonly model: Choice; readonly position?: Choice | undefined; readonly length: number };

/** A model of any category, with the category as its tag. */
export type AnyModel =
  | (LanguageModel & { readonly category: "decoder" })
  | (LanguageModel & { readonly category: "encoder" })
  | (SequenceToSequence & { readonly category: "encoder-decoder" });

/** The model of a Hugging Face checkpoint that a run started from: its complete settings, and whether its output is untied. */
export type CheckpointChoice = {
  readonly kind: "checkpoint";
  readonly settings: CheckpointConfig;
  readonly ownHead: boolean;
};

export const checkpointChoice: z.ZodObject = z.strictObject({
  kind: z.literal("checkpoint"),
  settings: z.record(z.string(), z.unknown()).describe("config.json of the checkpoint"),
  ownHead: z.boolean().default(false).describe("whether the output has a matrix of its own, though settings tie it"),
});

export function isCheckpoint(choice: Choice | CheckpointChoice): choice is CheckpointChoice {
  return choice.kind === "checkpoint";
}

/** @throws Error for an architecture that has no vocabulary */
export function modelOf({ model, category }: Architecture, source: string): AnyModel {
  if (category === "stacks") {
    throw new Error(
      `${source}: torch.nn.Transformer works on vectors and has no vocabulary; \`verify\` alone can use it`,
    );
  }
  return { ...(model as object), category } as AnyModel;
}

/**
 * The model of a configuration.
 *
 * @throws RangeError when a position scheme is given for a model that has its own
 */
export async function makeModel(
  { model: choice, position, length }: ModelChoice,
  vocabularySize: number,
): Promise<AnyModel> {
  const { kind, ...chosen } = choice;
  if (isCheckpoint(choice)) {
    if (position !== undefined) throw new RangeError("a checkpoint has its own positions; leave the position away");
    const { architectureOf } = await import("../io/hugging-face/architecture.ts");
    return modelOf(architectureOf(choice), "from");
  }
  const entry: ModelEntry = models[kind as ModelName];
  const options = { ...chosen, vocabularySize, ...("length" in entry.options().shape ? { length } : {}) };
  if (entry.category !== "decoder") {
    if (position !== undefined)
      throw new RangeError(`${kind} has its own positions; leave the position away, or take gpt`);
    return entry.category === "encoder"
      ? { ...(await entry.load(options)), category: "encoder" }
      : { ...(await entry.load(options)), category: "encoder-decoder" };
  }
  if (position === undefined) return { ...(await entry.load(options)), category: "decoder" };
  const { modelWidth, heads, layers } = parseOptions(entry.options(), options, kind) as Record<
    "modelWidth" | "heads" | "layers",
    number
  >;
  const { kind: name, ...rest } = position;
  const scheme = entryOf<PositionEntry>(positions, name).make(rest, { modelWidth, heads, layers, length });
  return { ...(await entry.load(options, scheme)), category: "decoder" };
}
