import { crc32c } from "../io/crc32c.ts";
import type { Splits } from "./splits.ts";

/** Says which data a task has: how many examples, and a sum of all they hold. */
export function fingerprintOf(splits: Splits<readonly unknown[]>): string {
  const { train, valid, test } = splits;
  const sum = crc32c(new TextEncoder().encode(JSON.stringify([train, valid, test])));
  return `rows=${train.length}+${valid.length}+${test.length} crc32c=${sum.toString(16)}`;
}
