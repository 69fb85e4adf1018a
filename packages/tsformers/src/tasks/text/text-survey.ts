import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { crc32c } from "../../io/crc32c.ts";
import { requireCharacters, type TextSource } from "../../io/read-text.ts";
import { splitEnds } from "./text.ts";
import type { SplitEnds } from "./tokenized-text.ts";

/** Properties of a text, collected before it is turned into tokens. */
export type Survey = {
  /** Length in UTF-16 units. */
  readonly units: number;
  /** Size as UTF-8, which the splits are measured in, and of which the checksums are. */
  readonly sizeBytes: number;
  /** Where the training and the validation split end, in bytes; see `cutAtByte`. */
  readonly ends: SplitEnds;
  /** CRC-32C, for the fingerprint. */
  readonly sum: number;
  /** CRC-32, which is fast: tells whether the second reading found the same text. */
  readonly check: number;
  readonly sha256: string;
  /** Every character once, in the order of first occurrence; empty if characters are not needed. */
  readonly alphabet: string;
  /** The characters of the training split. */
  readonly trainAlphabet: string;
  /** Where files begin, in UTF-16 units, ascending, the first one at 0. An empty file has its line feed, the last one nothing. */
  readonly documents: readonly number[];
};

/** Reports the share of some work that is done, from 0 to 1. */
export type Progress = (work: string, share: number) => void;

/**
 * Reads a text once, piece by piece, and surveys it.
 *
 * @param options.data path of the text, for messages
 * @param options.firstFiles the first file of the validation and of the test split. Default: the text is split by position
 * @throws FileError when the text is blank
 */
export async function surveyText(
  source: TextSource,
  options: {
    readonly data: string;
    readonly withCharacters: boolean;
    readonly progress: Progress;
    readonly firstFiles?: readonly [valid: number, test: number] | undefined;
  },
): Promise<Survey> {
  const { data, withCharacters, progress, firstFiles } = options;
  const hash = createHash("sha256");
  let [units, sizeBytes, sum, check] = [0, 0, 0, 0];
  const documents: number[] = [];
  const fileBytes: number[] = [];
  let blank = true;
  const { add, places } = firstPlaces();
  for (const { text, utf8, file } of source.pieces()) {
    while (file >= documents.length) {
      documents.push(units);
      fileBytes.push(sizeBytes);
    }
    if (withCharacters) add(text, sizeBytes);
    blank &&= text.trim() === "";
    hash.update(utf8);
    sum = crc32c(utf8, sum);
    check = crc32(utf8, check);
    units += text.length;
    sizeBytes += utf8.length;
    progress("read", sizeBytes / source.sizeBytes);
    await turn();
  }
  requireCharacters(data, !blank, units);
  // Only now is the end of the training split known: its characters are those that first occur before it.
  const startOf = (file: number): number => fileBytes[file] ?? sizeBytes;
  const ends: SplitEnds =
    firstFiles === undefined ? splitEnds(sizeBytes) : [startOf(firstFiles[0]), startOf(firstFiles[1])];
  const inTrain = [...places].filter(([character, place]) => place + Buffer.byteLength(character) <= ends[0]);
  return {
    units,
    sizeBytes,
    ends,
    sum,
    check,
    sha256: hash.digest("hex"),
    alphabet: [...places.keys()].join(""),
    trainAlphabet: inTrain.map(([character]) => character).join(""),
    documents,
  };
}

/** Finds the first position of each character, in bytes, in a text that is read piece by piece. */
function firstPlaces(): { add(text: string, position: number): void; places: Map<string, number> } {
  const places = new Map<string, number>();
  // A fast path, since nearly every character has occurred before. Surrogates are never in it.
  const known = new Uint8Array(0x10000);
  const add = (text: string, position: number): void => {
    let [counted, bytes] = [0, position];
    for (let i = 0; i < text.length; i++) {
      if (known[text.charCodeAt(i)] === 1) continue;
      const character = String.fromCodePoint(text.codePointAt(i)!);
      if (!places.has(character)) {
        bytes += Buffer.byteLength(text.slice(counted, i));
        counted = i;
        places.set(character, bytes);
      }
      if (character.length === 1) known[text.charCodeAt(i)] = 1;
      else i++;
    }
  };
  return { add, places };
}
