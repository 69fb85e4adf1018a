import * as z from "zod";
import type { DepthMaker } from "../depth/depth-entry.ts";
import type { LayerPatterns, Mixer, PositionScheme } from "../kinds/index.ts";
import type { PictureModel } from "../pictures/picture-model.ts";
import { count, positionCount, widthCount } from "../schema/count.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../schema/entry.ts";
import type { ViewName } from "../tasks/task.ts";
import type { LanguageModel } from "./language-model.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";

/** What a model may leave open, each to be chosen from the catalogue of its kind. */
export type PartName = "mixer" | "pattern" | "position" | "depth";

/** The parts that were chosen, made; what is absent is the model's own. */
export type ModelParts = {
  readonly mixer?: (layer: number) => Mixer<unknown>;
  readonly pattern?: LayerPatterns;
  readonly scheme?: PositionScheme;
  readonly depth?: DepthMaker;
};

/** What models of each category are: those that predict each next token, that see both sides, that write while reading, and that draw. */
type Made = {
  readonly decoder: LanguageModel;
  readonly encoder: LanguageModel;
  readonly "encoder-decoder": SequenceToSequence;
  readonly picture: PictureModel;
};

type AboutModel<Category extends keyof Made> = Published & {
  readonly category: Category;
  /** Of the attention part, for a sequence of n positions. */
  readonly cost: string;
  /** Which parts the model leaves open; the others are its own. */
  readonly parts: readonly PartName[];
  /** Which views of a task it can be trained on; the first is the usual one. */
  readonly serves: readonly ViewName[];
};

type EntryOf<Category extends keyof Made, Name extends string, Settings> = AboutModel<Category> &
  Entry<Name, Settings, [parts?: ModelParts], Made[Category]> & {
    /** Whether outputs depend on earlier inputs only, so that the model can generate. */
    readonly causal: boolean;
  };

export type DecoderEntry<Name extends string = string, Settings = unknown> = EntryOf<"decoder", Name, Settings>;
export type EncoderEntry<Name extends string = string, Settings = unknown> = EntryOf<"encoder", Name, Settings>;
export type EncoderDecoderEntry<Name extends string = string, Settings = unknown> = EntryOf<
  "encoder-decoder",
  Name,
  Settings
>;

export type PictureEntry<Name extends string = string, Settings = unknown> = EntryOf<"picture", Name, Settings>;

/** A system as the catalogue knows it. */
export type ModelEntry = DecoderEntry | EncoderEntry | EncoderDecoderEntry | PictureEntry;

type Parts<Category extends keyof Made, Name extends string, Schema extends z.ZodObject> = Omit<
  AboutModel<Category>,
  "parts" | "serves"
> &
  Partial<Pick<AboutModel<Category>, "parts" | "serves">> &
  EntryParts<Name, Schema, [parts: ModelParts], Made[Category]>;

const usualViews: { readonly [Category in keyof Made]: readonly ViewName[] } = {
  decoder: [
    "next",
    "segments",
    "labelled",
    "matched",
    "tagged",
    "spans",
    "reconstructed",
    "points",
    "quantities",
    "windows",
    "pictures",
    "masked",
  ],
  encoder: ["masked", "sentences", "labelled", "matched", "tagged", "spans", "reconstructed", "points", "quantities"],
  "encoder-decoder": ["pairs"],
  picture: ["pictures"],
};

/**
 * The entry of a model. It leaves no part open by default, and serves the views of its category, those that it names first.
 *
 * @throws RangeError from `make` when settings do not fit, and for parts that are the model's own
 */
export function modelEntry<Category extends keyof Made, Name extends string, Settings, Schema extends z.ZodObject>(
  given: Parts<Category, Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): EntryOf<Category, Name, Settings> {
  const own: Parts<Category, Name, Schema> = given;
  const { name, category, parts = [] } = own;
  const serves = [...new Set([...(own.serves ?? []), ...usualViews[category]])];
  const { options, make } = checkedFunctions(own, (chosen) => {
    const refused = partsIn(chosen).find((part) => !parts.includes(part));
    if (refused !== undefined) throw new RangeError(`${name}: has its own ${refused}; leave it away`);
  });
  return {
    ...own,
    parts,
    serves,
    causal: category !== "encoder",
    options,
    make: (settings, chosen = {}) => make(settings, chosen),
  };
}

function partsIn({ mixer, pattern, scheme, depth }: ModelParts): PartName[] {
  const names = Object.entries({ mixer, pattern, position: scheme, depth }) as [PartName, unknown][];
  return names.filter(([, part]) => part !== undefined).map(([name]) => name);
}

/** Every part. */
export const everyPart: readonly PartName[] = ["mixer", "pattern", "position", "depth"];

/** The settings that all stacks of blocks have. */
export type StackSettings = {
  readonly vocabularySize: number;
  readonly layers?: number;
  readonly modelWidth?: number;
  readonly heads?: number;
  readonly dropoutRate?: number;
};

type Optional<Schema extends z.ZodType> = z.ZodDefault<Schema>;

/** The options of {@link StackSettings}. */
export function stackOptions(): {
  readonly vocabularySize: z.ZodInt;
  readonly layers: Optional<z.ZodInt>;
  readonly modelWidth: Optional<z.ZodInt>;
  readonly heads: Optional<z.ZodInt>;
  readonly dropoutRate: Optional<z.ZodNumber>;
} {
  return {
    vocabularySize: count(2 ** 31 - 1, "tokens are counted in 32 bits").describe("how many different tokens there are"),
    layers: depthCount().default(4).describe("how many blocks follow each other"),
    modelWidth: widthCount().default(256).describe("features of a position between blocks"),
    heads: widthCount().default(4).describe("attention heads of a block"),
    dropoutRate: z.number().min(0).max(0.9).default(0).describe("share of activations dropped in training"),
  };
}

/** A number of layers. */
export function depthCount(): z.ZodInt {
  return count(128, "deeper graphs take ONNX Runtime too long to prepare");
}

/** The option for the depth of a decoder beside an encoder. */
export function decoderLayersOption(standard = "as many as layers"): z.ZodOptional<z.ZodInt> {
  return depthCount().optional().describe(`blocks of the decoder. Default: ${standard}`);
}

/** The option for the scale of initial weights, Hugging Face's `initializer_range`. Narrow models learn faster from larger ones, such as 0.6 / √width. */
export function initializerRangeOption(): Optional<z.ZodNumber> {
  return z.number().positive().max(1).default(0.02).describe("standard deviation of initial weights");
}

/** The option for the length of a learned table. */
export function lengthOption(): Optional<z.ZodInt> {
  return positionCount().default(128).describe("positions that a learned table covers");
}

/** Default of {@link pictureLengthOption}: 16 × 16 in three colours. */
export const usualPictureLength = 768;

/** The option for the number of values of a picture, from which its extents follow. */
export function pictureLengthOption(): Optional<z.ZodInt> {
  return positionCount()
    .default(usualPictureLength)
    .describe("values of a picture, which is square: 3·size² in colours, size² in grey");
}

/** The option for the width of feed-forward networks. */
export function ffnWidthOption(standard = "4 × modelWidth"): z.ZodOptional<z.ZodInt> {
  return count(131_072, "wider matrices do not fit an array")
    .optional()
    .describe(`hidden features of the feed-forward network. Default: ${standard}`);
}

/** The option for heads that several queries share. */
export function keyValueHeadsOption(): z.ZodOptional<z.ZodInt> {
  return widthCount()
    .optional()
    .describe("heads of keys and values, each shared by several query heads. Default: as many as query heads");
}

/** The option for heads whose widths do not add up to that of the model. */
export function headWidthOption(): z.ZodOptional<z.ZodInt> {
  return widthCount().optional().describe("features of a head. Default: modelWidth / heads");
}

/** The option for a sliding window. */
export function windowOption(): Optional<z.ZodInt> {
  return positionCount().default(64).describe("positions that a sliding window shows, the query's own among them");
}

/** What attention over all pairs costs, computed block by block. */
export const fullCost = "O(n²·d) time, O(n·d) memory";
