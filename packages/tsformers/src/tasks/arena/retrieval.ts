import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { byteTokenizer } from "../../tokenizers/index.ts";
import { dataOption, requireData } from "../data-option.ts";
import { randomNumbers } from "../draws.ts";
import { type MatchedTask, matchedTask } from "../matched.ts";
import type { MatchedRow } from "../row-forms.ts";
import { generatedRows, type RowSource, storedRows } from "../rows.ts";
import type { Splits } from "../splits.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";

/** Two documents, of which at least the first `length` bytes are read. */
export type DocumentPair = {
  readonly label: number;
  read(length: number): readonly [Uint8Array, Uint8Array];
};

export type Book = { readonly name: string; readonly bytes: Uint8Array };

/** Pairs as a file has them, or books from which pairs are drawn; as `readDocumentPairs` finds them. */
export type PairSource = { readonly identity: string } & (
  | { readonly pairs: Splits<readonly DocumentPair[]>; readonly books?: never }
  | { readonly books: Splits<readonly Book[]>; readonly pairs?: never }
);

export type RetrievalOptions = {
  readonly source: PairSource;
  /** T of each of the two rows; of longer documents, only the beginning is read. Default: 1024. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { length: 1024 };

/**
 * Whether two documents belong together, read byte by byte. Token 0 is padding.
 *
 * Of a table of pairs, the class is in the table: in Long Range Arena, whether one paper cites the other. Of books, a pair is two passages that do
 * not overlap, of one book (class "same") or of two (class "different"), both equally often; books of one split are in no other.
 *
 * @source Tay et al. 2020, "Long Range Arena", §2.2.3, arXiv:2011.04006: the ACL Anthology Network (Radev et al. 2013), 4,000 bytes of each document
 */
export function retrievalTask({ source, length = defaults.length, seed = 0 }: RetrievalOptions): MatchedTask {
  const tokenizer = byteTokenizer();
  return matchedTask({
    name: "retrieval",
    vocabularySize: tokenizer.vocabularySize,
    tokenizer,
    classNames: ["different", "same"],
    length,
    seed,
    fingerprint: `retrieval ${source.identity} seed=${seed}`,
    source: source.pairs === undefined ? passages(source.books, seed) : tablePairs(source.pairs, seed),
  });
}

function tablePairs(splits: Splits<readonly DocumentPair[]>, seed: number): RowSource<MatchedRow> {
  return storedRows({
    seed,
    splits,
    row: ({ label, read }, length) => {
      const [tokens, others] = read(length).map((bytes) => Array.from(bytes.subarray(0, length)));
      return { tokens: tokens!, others: others!, label };
    },
  });
}

function passages(splits: Splits<readonly Book[]>, seed: number): RowSource<MatchedRow> {
  const of = (books: readonly Book[]) => generatedRows((key, length) => passagePair(key, length, books), { seed });
  const sources = { train: of(splits.train), valid: of(splits.valid), test: of(splits.test) };
  return {
    train: sources.train.train,
    eval: (split, index, length) => sources[split].eval(split, index, length),
  };
}

function passagePair(key: RandomKey, length: number, books: readonly Book[]): MatchedRow {
  const short = books.find(({ bytes }) => bytes.length < 2 * length);
  if (short !== undefined)
    throw new RangeError(
      `retrieval: two passages of ${length} bytes need a book of ${2 * length}, ${short.name} has ${short.bytes.length}`,
    );
  const random = randomNumbers(key);
  const label = random.below(2);
  const first = random.below(books.length);
  const second = label === 1 ? first : (first + 1 + random.below(books.length - 1)) % books.length;
  const passage = (book: number, start: number): number[] =>
    Array.from(books[book]!.bytes.subarray(start, start + length));
  const free = (book: number): number => books[book]!.bytes.length - length + 1;
  if (label === 0) {
    return {
      tokens: passage(first, random.below(free(first))),
      others: passage(second, random.below(free(second))),
      label,
    };
  }
  // Two starts among the bytes that one passage leaves; the later passage goes behind the earlier one.
  const starts = [random.below(free(first) - length), random.below(free(first) - length)].sort((a, b) => a - b);
  const [early, late] = [passage(first, starts[0]!), passage(first, starts[1]! + length)];
  return random.below(2) === 0 ? { tokens: early, others: late, label } : { tokens: late, others: early, label };
}

export type RetrievalSettings = {
  readonly data?: string;
  readonly length?: number;
  readonly seed?: number;
};

export const retrievalEntry: TaskEntry<"retrieval", RetrievalSettings> = /* @__PURE__ */ taskEntry({
  name: "retrieval",
  title: "Document retrieval",
  category: "data",
  summary: "tell whether two documents belong together, each read alone (Long Range Arena: AAN)",
  options: () =>
    z.strictObject({
      data: dataOption(
        "a folder with tables of pairs, *train*.tsv, *eval*.tsv and *test*.tsv, with lines of label, id, id, text, text; or with books, train_*.txt, valid_*.txt and test_*.txt (.gz, too), passages of which are paired",
      ),
      length: lengthOption(defaults.length).describe("bytes of each of the two documents"),
      seed: seedOption(),
    }),
  make: async ({ data, ...rest }, context) => {
    const { readDocumentPairs } = await import("#files");
    return retrievalTask({
      ...rest,
      source: readDocumentPairs(requireData("retrieval", data, "a folder of tables or books"), context),
    });
  },
});
