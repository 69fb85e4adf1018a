import type { Tokenizer } from "../../tokenizers/index.ts";
import type { Splits } from "../splits.ts";

/** The tokens of a split, in memory or in a file. */
export type Tokens = {
  readonly length: number;
  /** The tokens from `start` up to, but without, `end`. */
  read(start: number, end: number): Int32Array | Uint8Array | Uint16Array | Uint32Array;
};

/** The tokens at which the documents of each split begin, ascending, the first one at 0: a split may begin within a document. */
export type Documents = Splits<readonly number[]>;

/** How long a text is, whatever its tokens are. */
export type TextSize = {
  readonly characters: number;
  /** As UTF-8. */
  readonly bytes: number;
  /** What stands between white space, and line feeds. */
  readonly words: number;
};

export type SplitEnds = readonly [train: number, valid: number];

/** A text as tokens. */
export type TokenizedText = {
  readonly splits: Splits<Tokens>;
  /** Of `valid` and `test` together. */
  readonly evaluationSize: TextSize;
  /** The text as UTF-8. */
  readonly sizeBytes: number;
  /** CRC-32C of these bytes. */
  readonly sum: number;
  /** Where the training and the validation split end, in bytes, if the names of files say so. Absent: at 90 % and 95 %. */
  readonly ends?: SplitEnds;
  /** Where the documents of each split begin, see {@link Documents}. Absent: each split is one document. */
  readonly documents?: Documents;
};

/** A text that was read, and what turned it into tokens. */
export type ReadText = { readonly tokenizer: Tokenizer; readonly tokenized: TokenizedText };
