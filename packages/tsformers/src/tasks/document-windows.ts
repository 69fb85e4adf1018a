import { foldIn, integers, randomKey } from "@tsformers/engine";
import { type RowSource, storedRows } from "./rows.ts";
import type { Splits } from "./splits.ts";
import type { EvalSplit } from "./task.ts";

/** A stretch of a document: its units `start` up to, but without, `end`. */
type Stretch<Document> = { readonly document: Document; readonly start: number; readonly end: number };

/**
 * Rows that are stretches of documents, each of one document: a document that fits a row is a row of its own.
 *
 * Evaluation cuts documents into stretches one after the other, so that the same units are read at each length. In training a longer document
 * comes as often in an epoch as it fills rows, each time from a random place.
 *
 * @param options.lengthOf the number of a document's units
 * @param options.fits how many units fit a row of a length. Default: as many as it has positions
 */
export function documentWindows<Document, R>(options: {
  readonly seed: number;
  readonly splits: Splits<readonly Document[]>;
  lengthOf(document: Document): number;
  fits?(length: number): number;
  row(stretch: Stretch<Document>): R;
}): RowSource<R> {
  const { seed, splits, lengthOf, row } = options;
  const { fits = (length: number) => length } = options;
  const placeKey = foldIn(randomKey(seed), 1);
  const made = new Map<number, RowSource<Stretch<Document>>>();
  const stretchesOf = (size: number): RowSource<Stretch<Document>> => {
    const known = made.get(size);
    if (known !== undefined) return known;
    const cut = (split: "train" | EvalSplit) =>
      splits[split].flatMap((document) =>
        Array.from({ length: Math.ceil(lengthOf(document) / size) }, (_, i) => ({
          document,
          start: i * size,
          end: Math.min((i + 1) * size, lengthOf(document)),
        })),
      );
    const source = storedRows({
      seed,
      splits: { train: cut("train"), valid: cut("valid"), test: cut("test") },
      row: (stretch) => stretch,
    });
    made.set(size, source);
    return source;
  };
  return {
    train: (place, length) => {
      const size = fits(length);
      const { document } = stretchesOf(size).train(place, length);
      const room = Math.max(lengthOf(document) - size, 0);
      const key = foldIn(foldIn(placeKey, place.step), place.index);
      const start = integers(key, [], { high: room + 1 }).item();
      return row({ document, start, end: Math.min(start + size, lengthOf(document)) });
    },
    eval: (split, index, length) => {
      const stretch = stretchesOf(fits(length)).eval(split, index, length);
      return stretch && row(stretch);
    },
  };
}
