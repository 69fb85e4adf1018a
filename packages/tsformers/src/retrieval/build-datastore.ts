import { fingerprintOf } from "./fingerprint.ts";
import { type ReadOptions, readText } from "./text-reader.ts";
import { type DatastoreWriter, writeDatastore } from "./write-datastore.ts";

export type BuildOptions = Omit<ReadOptions, "predicts"> & {
  /** A folder that does not exist yet. */
  readonly directory: string;
};

/**
 * Builds a datastore from a text by a trained model: for each position the input of the last feed-forward network, behind its norm, with the token
 * that follows. Nothing is trained, and the text need not be the model's own.
 *
 * The folder appears when it is whole. Killed before, it is built from the beginning the next time.
 *
 * @returns the number of entries
 * @throws FileError when the folder exists or cannot be written; TypeError for a model without such inputs
 * @cost   one forward pass over the text; 4·(C + 1) bytes an entry
 * @source Khandelwal et al. 2020, §3, arXiv:1911.00172
 */
export async function buildDatastore(options: BuildOptions): Promise<number> {
  const { directory, ...reading } = options;
  const { model, params, text, split, limit } = reading;
  const read = readText(reading);
  const { entries } = read;
  let writer: DatastoreWriter | undefined;
  try {
    for await (const { entry, keys, targets } of read) {
      writer ??= await writeDatastore(directory, {
        entries,
        width: keys.length / targets.length,
        vocabularySize: model.vocabularySize,
        model: fingerprintOf(params),
        text: `${text.fingerprint} ${split}${limit === undefined ? "" : ` ${limit}`}`,
      });
      await writer.write(entry, keys, targets);
    }
    await writer!.finish();
  } catch (error) {
    await writer?.abandon();
    throw error;
  }
  return entries;
}
