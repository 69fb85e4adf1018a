import { foldIn, integers, permutation, type RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { leastSide } from "../../nn/picture-network.ts";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { downscaled } from "../arena/downscale.ts";
import { dataOption, requireData } from "../data-option.ts";
import { accuracy, classLoss } from "../metric.ts";
import { type QuantityRow, quantitiesForm } from "../quantity-rows.ts";
import { generatedRows, type RowSource, rowsView } from "../rows.ts";
import { mapSplits, type Splits, tenths } from "../splits.ts";
import type { Quantity } from "../task.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { type QuantityTask, usualSets } from "./max-regression.ts";

/** Handwritten characters: of each the pictures by several hands, ink from 0 to 255, `side` × `side` pixels. */
export type Characters = {
  readonly side: number;
  readonly characters: readonly (readonly Uint8Array[])[];
  /** The same for the same pictures. */
  readonly identity: string;
};

export type UniqueCharactersOptions = {
  readonly characters: Characters;
  /** Rows and columns that pictures are made smaller to. Default: 28. */
  readonly size?: number;
  /** The most pictures of a training set. Default: 10. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const usualSize = 28;
const usualLength = 10;

/**
 * How many different characters a set of handwritten ones has. Characters of the test are others than those of training: a model must learn when two
 * pictures show the same one.
 *
 * A set has ⌈0.6 T⌉ to T pictures of 1 to as many characters as there are pictures, each number as often. The loss is −log of a Poisson distribution; right
 * is its most likely count. A tenth of the characters is for validation, another one for the test.
 *
 * @source Lee et al. 2019, "Set Transformer", §5.2, arXiv:1810.00825 (Omniglot, sets of 6 to 10 pictures)
 * @differs pictures are made smaller, from 105 × 105 pixels to 28 × 28
 * @throws RangeError for a size that pictures have not, and where a split has fewer characters than a set may have
 */
export function uniqueCharactersTask(options: UniqueCharactersOptions): QuantityTask {
  const { characters, size = usualSize, length = usualLength, seed = 0 } = options;
  const { side, identity } = characters;
  if (!(Number.isInteger(size) && size >= leastSide && size <= side))
    throw new RangeError(`unique-characters: size must be an integer from ${leastSide} to ${side}, got ${size}`);
  const smaller = characters.characters.map((pictures) =>
    pictures.map((ink) => Float32Array.from(downscaled(ink, side, size), (value) => value / 255)),
  );
  const splits = tenths(smaller);
  const fewest = Math.min(...Object.values(splits).map((part) => part.length));
  const requireLength = (most: number): void => {
    if (most > fewest)
      throw new RangeError(
        `unique-characters: the smallest split has ${fewest} characters, so that sets have at most as many pictures, got ${most}`,
      );
  };
  requireLength(length);
  const quantity: Quantity = { features: size ** 2, side: size, error: { kind: "poisson", most: fewest } };
  const sources: Splits<RowSource<QuantityRow>> = mapSplits(splits, (part: readonly Character[]) =>
    generatedRows((key, rowLength) => uniqueCharactersRow(key, rowLength, part), { seed }),
  );
  const source: RowSource<QuantityRow> = {
    train: sources.train.train,
    eval: (split, index, rowLength) => {
      requireLength(rowLength);
      return sources[split].eval(split, index, rowLength);
    },
  };
  const view = rowsView({
    name: "unique-characters",
    length,
    source,
    form: quantitiesForm(quantity),
    limit: usualSets,
  });
  return {
    name: "unique-characters",
    // Pictures are no tokens; a model has one all the same.
    vocabularySize: 1,
    length,
    metrics: [classLoss, accuracy],
    fingerprint: `unique-characters size=${size} ${identity} seed=${seed}`,
    views: { quantities: { ...view, quantity } },
  };
}

/** The pictures of a character. */
type Character = readonly Float32Array[];

function uniqueCharactersRow(key: RandomKey, length: number, characters: readonly Character[]): QuantityRow {
  const draw = (of: number, count: number, low: number, high: number): number[] =>
    integers(foldIn(key, of), [count], { low, high }).toNumbers();
  const [size] = draw(0, 1, Math.ceil(0.6 * length), length + 1) as [number];
  const [different] = draw(1, 1, 1, size + 1) as [number];
  const chosen = permutation(foldIn(key, 2), characters.length).toNumbers().slice(0, different);
  const shown = [...chosen, ...draw(3, size - different, 0, different).map((which) => chosen[which]!)];
  const hands = draw(4, size, 0, 2 ** 20);
  const pictures = shown.map((which, i) => characters[which]![hands[i]! % characters[which]!.length]!);
  const order = permutation(foldIn(key, 5), size).toNumbers();
  return { vectors: order.map((from) => pictures[from]!), quantity: different };
}

export type UniqueCharactersSettings = Omit<UniqueCharactersOptions, "characters"> & { readonly data?: string };

export const uniqueCharactersEntry: TaskEntry<"unique-characters", UniqueCharactersSettings> =
  /* @__PURE__ */ taskEntry({
    name: "unique-characters",
    title: "Different characters of a set",
    category: "data",
    summary: "tell how many different handwritten characters a set of pictures has (counting, Omniglot)",
    options: () =>
      z.strictObject({
        data: dataOption("Omniglot's zips, one of them, or folders with a folder of PNG files for each character"),
        size: count(1024, "larger pictures take too long to be read", leastSide)
          .default(usualSize)
          .describe("rows and columns that pictures are made smaller to"),
        length: positionCount().default(usualLength).describe("the most pictures of a training set"),
        seed: seedOption(),
      }),
    make: async ({ data, ...rest }, { note }) => {
      const { readCharacters } = await import("#files");
      const path = requireData("unique-characters", data, "handwritten characters, such as Omniglot");
      return uniqueCharactersTask({ ...present(rest), characters: readCharacters(path, present({ note })) });
    },
  });
