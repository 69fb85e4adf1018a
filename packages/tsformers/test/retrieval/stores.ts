import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { normal, randomKey } from "@tsformers/engine";
import { writeDatastore } from "../../src/retrieval/index.ts";

/** A folder for what a test file writes. */
export const scratchFolder = (): string => mkdtempSync(join(tmpdir(), "tsformers-retrieval-"));

export type Made = { readonly keys: Float32Array; readonly values: Int32Array };

export const vocabularySize = 11;

/** A datastore of random keys, whose every third key is that before it: some distances are equal. */
export async function randomStore(
  directory: string,
  { entries, width, pageEntries }: { entries: number; width: number; pageEntries: number },
): Promise<Made> {
  const keys = Float32Array.from(normal(randomKey(1), [entries * width]).data as Float32Array);
  for (let i = 2; i < entries; i += 3) keys.copyWithin(i * width, (i - 1) * width, i * width);
  const values = Int32Array.from({ length: entries }, (_, i) => (i * 7) % vocabularySize);
  const writer = await writeDatastore(directory, {
    entries,
    width,
    pageEntries,
    vocabularySize,
    model: "m",
    text: "t",
  });
  const half = Math.floor(entries / 2);
  // Rows of a batch are written in any order.
  await writer.write(half, keys.slice(half * width), values.slice(half));
  await writer.write(0, keys.slice(0, half * width), values.slice(0, half));
  await writer.finish();
  return { keys, values };
}
