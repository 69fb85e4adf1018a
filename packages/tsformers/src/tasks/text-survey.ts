import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { crc32c } from "../io/crc32c.ts";
import { requireCharacters, type TextSource } from "../io/read-text.ts";
import { splitEnds } from "./text.ts";

/** What is known of a text before it is turned into tokens. */
export type Survey = {
  /** UTF-16 units, by which splits are measured. */
  readonly units: number;
  /** As UTF-8; so are the check sums. */
  readonly sizeBytes: number;
  /** CRC-32C, for the fingerprint. */
  readonly sum: number;
  /** CRC-32, which is fast: to see whether the second reading found the same text. */
  readonly check: number;
  readonly sha256: string;
  /** Every character once, in the order in which they come; empty where characters were not asked for. */
  readonly alphabet: string;
  /** Those of the training split. */
  readonly trainAlphabet: string;
};

/** Says how much of some work is done, from 0 to 1. */
export type Progress = (work: string, share: number) => void;

/**
 * Reads a text once, by pieces.
 *
 * @param options.data its path, for messages
 * @throws FileError when it has nothing but blanks
 */
export async function surveyText(
  source: TextSource,
  { data, withCharacters, progress }: { data: string; withCharacters: boolean; progress: Progress },
): Promise<Survey> {
  const hash = createHash("sha256");
  let [units, sizeBytes, sum, check] = [0, 0, 0, 0];
  let blank = true;
  const { add, places } = firstPlaces();
  for (const { text, utf8 } of source.pieces()) {
    if (withCharacters) add(text, units);
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
  // Where the training split ends is known only now: it has the characters whose first place is in it.
  const [trainEnd] = splitEnds(units);
  const inTrain = [...places].filter(([character, place]) => place + character.length <= trainEnd);
  return {
    units,
    sizeBytes,
    sum,
    check,
    sha256: hash.digest("hex"),
    alphabet: [...places.keys()].join(""),
    trainAlphabet: inTrain.map(([character]) => character).join(""),
  };
}

/** Where each character of a text that is read by pieces comes first; the places are UTF-16 units. */
function firstPlaces(): { add(text: string, position: number): void; places: Map<string, number> } {
  const places = new Map<string, number>();
  // Nearly every character has come before: this is the fast way to see it. Halves of surrogate pairs are never in it.
  const known = new Uint8Array(0x10000);
  const add = (text: string, position: number): void => {
    for (let i = 0; i < text.length; i++) {
      if (known[text.charCodeAt(i)] === 1) continue;
      const character = String.fromCodePoint(text.codePointAt(i)!);
      if (!places.has(character)) places.set(character, position + i);
      if (character.length === 1) known[text.charCodeAt(i)] = 1;
      else i++;
    }
  };
  return { add, places };
}
