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
  // Where each character comes first: the training split, whose end is not known yet, has those that come before it.
  const firsts = new Float64Array(withCharacters ? 0x110000 : 0).fill(Number.POSITIVE_INFINITY);
  for (const { text, utf8 } of source.pieces()) {
    if (withCharacters) noteFirsts(text, units, firsts);
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
  const [trainEnd] = splitEnds(units);
  const alphabet = Array.from(firsts.keys())
    .filter((code) => firsts[code]! < units)
    .sort((a, b) => firsts[a]! - firsts[b]!);
  const written = (codes: readonly number[]): string => codes.map((code) => String.fromCodePoint(code)).join("");
  return {
    units,
    sizeBytes,
    sum,
    check,
    sha256: hash.digest("hex"),
    alphabet: written(alphabet),
    trainAlphabet: written(alphabet.filter((code) => firsts[code]! + (code > 0xffff ? 2 : 1) <= trainEnd)),
  };
}

function noteFirsts(text: string, position: number, firsts: Float64Array): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i)!;
    if (firsts[code] === Number.POSITIVE_INFINITY) firsts[code] = position + i;
    if (code > 0xffff) i++;
  }
}
