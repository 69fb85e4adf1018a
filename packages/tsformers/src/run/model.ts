import { type ModelEntry, type ModelName, models } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { MaskedLanguageModel } from "../models/masked-language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { type PositionName, positions } from "../position/index.ts";
import type { Choice } from "./catalogue.ts";
import { parseOptions } from "./parse-options.ts";

/** What a model is made from; `length` is that of training rows. */
export type ModelChoice = { readonly model: Choice; readonly position?: Choice | undefined; readonly length: number };

/** A model of any kind, told apart by its category. */
export type AnyModel =
  | (LanguageModel & { readonly category: "decoder" })
  | (MaskedLanguageModel & { readonly category: "encoder" })
  | (SequenceToSequence & { readonly category: "encoder-decoder" });

/**
 * The model of a configuration.
 *
 * @throws RangeError when a position scheme is named for a model that has its own
 */
export async function makeModel(
  { model: { kind, ...chosen }, position, length }: ModelChoice,
  vocabularySize: number,
): Promise<AnyModel> {
  const entry: ModelEntry = models[kind as ModelName];
  const options = { ...chosen, vocabularySize, ...("length" in entry.options.shape ? { length } : {}) };
  if (entry.category !== "decoder") {
    if (position !== undefined)
      throw new RangeError(`${kind} has its own positions; leave the position away, or take gpt`);
    return entry.category === "encoder"
      ? { ...(await entry.load(options)), category: "encoder" }
      : { ...(await entry.load(options)), category: "encoder-decoder" };
  }
  if (position === undefined) return { ...(await entry.load(options)), category: "decoder" };
  const { modelWidth, heads, layers } = parseOptions(entry.options, options, kind) as Record<
    "modelWidth" | "heads" | "layers",
    number
  >;
  const { kind: name, ...rest } = position;
  const scheme = await positions[name as PositionName].load(rest, { modelWidth, heads, layers, length });
  return { ...(await entry.load(options, scheme)), category: "decoder" };
}
