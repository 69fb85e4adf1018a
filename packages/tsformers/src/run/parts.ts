import * as z from "zod";
import type { MixerContext, MixerEntry } from "../attention/index.ts";
import type { PatternContext, PatternEntry } from "../attention/patterns/index.ts";
import { entryOf } from "../catalogue/catalogue-of.ts";
import { depths } from "../catalogue/depths.ts";
import { mixers } from "../catalogue/mixers.ts";
import { models } from "../catalogue/models.ts";
import { patterns } from "../catalogue/patterns.ts";
import { positions } from "../catalogue/positions.ts";
import type { DepthEntry } from "../depth/index.ts";
import type { LayerPatterns } from "../kinds/index.ts";
import type { ModelEntry, ModelParts } from "../models/index.ts";
import type { PositionContext, PositionEntry } from "../position/index.ts";
import { canonicalJson } from "./canonical-json.ts";
import { type Catalogue, type Choice, type Choices, choiceSchema, type Entry, makeChoice } from "./catalogue.ts";

/** What a part must know of the model that it is built into. */
export type PartContext = MixerContext & PatternContext & PositionContext;

const modelCatalogue: Catalogue<ModelEntry> = models;

/** A part that some models leave open. */
type Part<E> = {
  readonly catalogue: Catalogue<E>;
  readonly description: string;
  /** What models have of it where they do not leave it open: "its own …". */
  readonly noun: string;
  /** What models that leave it open have by themselves. */
  readonly usual: string;
  /** Whether each layer may have another. */
  readonly perLayer: boolean;
};

type Parts = {
  readonly mixer: Part<MixerEntry>;
  readonly pattern: Part<PatternEntry>;
  readonly position: Part<PositionEntry>;
  readonly depth: Part<DepthEntry>;
};

export type PartName = keyof Parts;

/** Every part, in the order of flags and messages. */
export const parts: Parts = {
  mixer: {
    catalogue: mixers,
    description: "how positions exchange information, in all layers or each",
    noun: "mixers",
    usual: "softmax",
    perLayer: true,
  },
  pattern: {
    catalogue: patterns,
    description: "what softmax attention sees, in all layers or each",
    noun: "patterns",
    usual: "full",
    perLayer: true,
  },
  position: {
    catalogue: positions,
    description: "how the model knows about positions",
    noun: "positions",
    usual: "learned",
    perLayer: false,
  },
  depth: {
    catalogue: depths,
    description: "how the blocks follow one another",
    noun: "depth",
    usual: "stack",
    perLayer: false,
  },
};

export const partNames: readonly PartName[] = ["mixer", "pattern", "position", "depth"];

const schemas = Object.fromEntries(
  partNames.map((name) => {
    const { catalogue, description, usual, perLayer } = parts[name];
    const one = choiceSchema(catalogue);
    const any: z.ZodType = perLayer ? z.union([one, z.array(one).min(1)]) : one;
    return [name, any.optional().describe(`${description}. Default: ${usual}`)];
  }),
);

/** The settings of a model beside its own options: a schema for each part that it leaves open. */
export function partSchemas(model: string): Record<string, z.ZodType> {
  const open = openParts(model);
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => open.includes(name)));
}

/** The parts that a model leaves open; none of a model that is in no catalogue. */
export function openParts(model: string): readonly string[] {
  return Object.hasOwn(models, model) ? entryOf(modelCatalogue, model).parts : [];
}

/** Models that leave a part open. */
export function takersOf(part: string): string[] {
  return Object.keys(models).filter((model) => openParts(model).includes(part));
}

/** `llama has its own positions; gpt and bert take any` */
export function partRefusal(model: string, part: string): string {
  const noun = isPart(part) ? parts[part].noun : part;
  return `${model} has its own ${noun}; ${listed(takersOf(part))} take any`;
}

/** `gpt, mine and bert` */
function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function isPart(name: string): name is PartName {
  return partNames.some((part) => part === name);
}

/** The options of a model, and the parts that were chosen for it. */
export function splitParts({ kind, ...settings }: Choice): {
  readonly options: Readonly<Record<string, unknown>>;
  readonly chosen: Readonly<Partial<Record<PartName, Choices>>>;
} {
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    options: Object.fromEntries(entries.filter(([name]) => !isPart(name))),
    chosen: Object.fromEntries(entries.filter(([name]) => isPart(name))),
  };
}

/** The parts of a model that are not what it has by itself, such as `["mixer performer"]`. */
export function unusualParts(model: Choice): string[] {
  const { chosen } = splitParts(model);
  return partNames.flatMap((name) => {
    const own = chosen[name];
    return own === undefined || isUsual(name, own) ? [] : [`${name} ${kindsText(own)}`];
  });
}

/** `performer`; of several layers the kinds that there are, `local, routing`. */
export function kindsText(chosen: Choices): string {
  return [...new Set([chosen].flat().map(({ kind }) => kind))].join(", ");
}

function isUsual(part: PartName, chosen: Choices): boolean {
  const { catalogue, usual } = parts[part];
  const standard = entryOf<Entry>(catalogue, usual).options().parse({});
  return [chosen].flat().every(({ kind, ...options }) => {
    return kind === usual && canonicalJson({ ...standard, ...options }) === canonicalJson(standard);
  });
}

/**
 * Makes the parts that were chosen.
 *
 * @throws RangeError naming the options that do not fit, layers that are missing, and a part that does not work in the model's direction
 */
export function makeParts(chosen: Readonly<Partial<Record<PartName, Choices>>>, context: PartContext): ModelParts {
  const { mixer, pattern, position, depth } = chosen;
  return {
    // Of its own mixer a model knows more than the catalogue: how its projections start.
    ...(mixer !== undefined && !isUsual("mixer", mixer) && { mixer: mixersOfLayers(mixer, context) }),
    ...(pattern !== undefined && { pattern: patternsOfLayers(pattern, context) }),
    ...(position !== undefined && { scheme: makeChoice(parts.position.catalogue, one("position", position), context) }),
    ...(depth !== undefined && { depth: makeChoice(parts.depth.catalogue, one("depth", depth)) }),
  };
}

function mixersOfLayers(chosen: Choices, context: PartContext): NonNullable<ModelParts["mixer"]> {
  const choices = choicesOfLayers("mixer", chosen, context.layers);
  const made = choices.map((choice, layer) => makeChoice(parts.mixer.catalogue, choice, { ...context, layer }));
  return (layer) => made[layer]!;
}

function patternsOfLayers(chosen: Choices, context: PartContext): NonNullable<ModelParts["pattern"]> {
  const choices = choicesOfLayers("pattern", chosen, context.layers);
  const known = new Map<Choice, LayerPatterns>();
  const made = choices.map((choice) => {
    const own = known.get(choice) ?? makeChoice(parts.pattern.catalogue, choice, context);
    known.set(choice, own);
    return own;
  });
  return (layer) => made[layer]!(layer);
}

/** @throws RangeError for a list */
function one(part: PartName, chosen: Choices): Choice {
  if (isList(chosen)) throw new RangeError(`${part}: expected one for all layers, got a list`);
  return chosen;
}

/** The choice of each layer. @throws RangeError when they are not as many as layers */
function choicesOfLayers(part: PartName, chosen: Choices, layers: number): readonly Choice[] {
  const wrong = wrongCount(part, chosen, layers);
  if (wrong !== undefined) throw new RangeError(`${part}: ${wrong}`);
  return isList(chosen) ? chosen : Array.from({ length: layers }, () => chosen);
}

/** What is wrong with the number of layers that choices are for; nothing where one choice is for all. */
export function wrongCount(part: PartName, chosen: Choices, layers: number): string | undefined {
  if (!isList(chosen) || chosen.length === layers) return undefined;
  const kinds = chosen.map(({ kind }) => kind).join(", ");
  return `names ${parts[part].noun} for ${chosen.length} ${chosen.length === 1 ? "layer" : "layers"} (${kinds}), and the model has ${layers}`;
}

function isList(chosen: Choices): chosen is readonly Choice[] {
  return Array.isArray(chosen);
}
