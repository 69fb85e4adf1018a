import * as z from "zod";
import { entryOf } from "../catalogue/catalogue-of.ts";
import { models } from "../catalogue/models.ts";
import type { CheckpointConfig } from "../io/hugging-face/architecture.ts";
import type { Architecture } from "../io/hugging-face/format.ts";
import type { ModelEntry } from "../models/index.ts";
import type { LanguageModel } from "../models/language-model.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import { normalInitial } from "../nn/initial.ts";
import {
  type AnswerSizes,
  classifier,
  clusterer,
  decider,
  matcher,
  nextSentenceModel,
  picturesOf,
  reconstructor,
  regressor,
  spanFinder,
  tagger,
} from "../objectives/index.ts";
import type { PictureModel } from "../pictures/picture-model.ts";
import { parseOptions } from "../schema/parse-options.ts";
import type { Catalogue, Choice } from "./catalogue.ts";
import { makeParts, partNames, partRefusal, splitParts } from "./parts.ts";

/** What a model is built from; `length` is that of training rows. */
export type ModelChoice = { readonly model: Choice; readonly length: number };

/** A model of any category, with the category as its tag. */
export type AnyModel =
  | (LanguageModel & { readonly category: "decoder" })
  | (LanguageModel & { readonly category: "encoder" })
  | (SequenceToSequence & { readonly category: "encoder-decoder" })
  | (PictureModel & { readonly category: "picture"; readonly vocabularySize: number });

/** A model that reads and writes tokens. */
export type AnyTokenModel = Exclude<AnyModel, { readonly category: "picture" }>;

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

/**
 * A model as its objective trains it. For the class of a row it has another head, tokens [B, T] → logits [B, 1, classes], for a class at each
 * position, → [B, T, classes], for the ends of an answer → [B, T, 2], for that of two rows it gives the vector by which a row is compared, [B, 1, C], for
 * giving rows back it has a decoder, for the next sentence a pooler and its head, for telling a mixture or a number it reads vectors, for acting episodes, and
 * for drawing pictures; whoever fills in hidden tokens writes nothing, even if it sees only what is before them.
 */
export function asTrained(
  model: AnyModel,
  objective: string | undefined,
  { classes, features, components, quantity, decisions, shape, separator }: AnswerSizes,
): AnyModel {
  if (model.category === "encoder-decoder" || model.category === "picture") return model;
  if (objective === "pictures") {
    const { vocabularySize } = model;
    return { ...(picturesOf(model.body, shape!) as PictureModel), vocabularySize, category: "picture" };
  }
  if (objective === "class") return { ...classifier(model.body, { classes: classes! }), category: "encoder" };
  if (objective === "match") return { ...matcher(model.body, { classes: classes! }), category: "encoder" };
  if (objective === "tag") return { ...tagger(model.body, { classes: classes! }), category: "encoder" };
  if (objective === "spans") return { ...spanFinder(model.body, { separator: separator! }), category: "encoder" };
  if (objective === "reconstruct") return { ...reconstructor(model.body), category: "encoder" };
  if (objective === "cluster")
    return { ...clusterer(model.body, { features: features!, components: components! }), category: "encoder" };
  if (objective === "next-sentence") return { ...(nextSentenceModel(model) as LanguageModel), category: "encoder" };
  if (objective === "regress") return { ...regressor(model.body, quantity!), category: "encoder" };
  if (objective === "act") return { ...decider(model.body, decisions!), category: "encoder" };
  return objective === "masked" ? { ...model, category: "encoder" } : model;
}

/** @throws Error for an architecture that has no vocabulary */
export function modelOf({ model, category }: Architecture, source: string): AnyModel {
  if (category === "stacks") {
    throw new Error(
      `${source}: torch.nn.Transformer works on vectors and has no vocabulary; \`verify\` alone can use it`,
    );
  }
  if (category === "decisions") {
    throw new Error(
      `${source}: a Decision Transformer reads episodes and has no vocabulary; \`verify\` and \`openDecider\` of tsformers/node can use it`,
    );
  }
  return { ...(model as object), category } as AnyModel;
}

const catalogue: Catalogue<ModelEntry> = models;

/** What parts must know of a model, among its options. */
const sizes = z.object({
  layers: z.int(),
  modelWidth: z.int(),
  heads: z.int(),
  dropoutRate: z.number().default(0),
  initializerRange: z.number().optional(),
});

/**
 * The model of a configuration, put together with the parts that were chosen for it.
 *
 * @throws RangeError naming options that do not fit, a part that the model has itself, and one that it cannot take;
 *   CombinationError for parts that do not go together
 */
export async function makeModel({ model: choice, length }: ModelChoice, vocabularySize: number): Promise<AnyModel> {
  const { options, chosen } = splitParts(choice);
  if (isCheckpoint(choice)) {
    const { architectureOf } = await import("../io/hugging-face/architecture.ts");
    return modelOf(architectureOf(choice), "from");
  }
  const entry = entryOf(catalogue, choice.kind);
  const refused = partNames.find((part) => chosen[part] !== undefined && !entry.parts.includes(part));
  if (refused !== undefined) throw new RangeError(partRefusal(choice.kind, refused));
  const schema = entry.options();
  const given = { ...options, vocabularySize, ...("length" in schema.shape && { length }) };
  const settings = parseOptions(schema, given, choice.kind);
  const { initializerRange, ...size } = sizes.parse(settings);
  const initial = normalInitial(initializerRange);
  const made = entry.parts.length === 0 ? {} : makeParts(chosen, { ...size, length, causal: entry.causal, initial });
  switch (entry.category) {
    case "decoder":
      return { ...entry.make(settings, made), category: "decoder" };
    case "encoder":
      return { ...entry.make(settings, made), category: "encoder" };
    case "encoder-decoder":
      return { ...entry.make(settings, made), category: "encoder-decoder" };
    case "picture":
      return { ...entry.make(settings, made), category: "picture", vocabularySize };
  }
}
