import * as z from "zod";

/** What `store.json` says of a datastore; a folder without it is not whole. */
export type DatastoreRecord = {
  readonly format: "tsformers datastore 1";
  /** Pairs of a key and the token that followed it. */
  readonly entries: number;
  /** C, features of a key. */
  readonly width: number;
  /** Entries that are read and searched at a time. */
  readonly pageEntries: number;
  readonly vocabularySize: number;
  /** Fingerprint of the parameters of the model that made the keys. */
  readonly model: string;
  /** Fingerprint of the text, and the part of it that was read. */
  readonly text: string;
  /** CRC-32 of the keys of each page, then of all values. */
  readonly sums: { readonly keys: readonly number[]; readonly values: number };
};

const whole = z.int().positive();
const sum = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

export const datastoreRecord: z.ZodType<DatastoreRecord> = z
  .strictObject({
    format: z.literal("tsformers datastore 1"),
    entries: whole.max(2 ** 31 - 1),
    width: whole.max(24_576),
    pageEntries: whole,
    vocabularySize: whole,
    model: z.string(),
    text: z.string(),
    sums: z.strictObject({ keys: z.array(sum), values: sum }),
  })
  .refine(({ entries, pageEntries, sums }) => sums.keys.length === Math.ceil(entries / pageEntries), {
    error: "the number of sums is not that of pages",
  });

/** The names of a datastore's files. */
export const datastoreFiles = { record: "store.json", keys: "keys.f32", values: "values.i32" } as const;

/** Bytes of a page of keys, about. */
const pageBytes = 2 ** 23;

/** How many entries of a width make a page. */
export function pageEntriesOf(width: number): number {
  return Math.max(256, Math.floor(pageBytes / (4 * width)));
}

/** The memory of an array, as its file has it. */
export function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
