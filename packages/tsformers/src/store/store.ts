import type { Filter } from "./filter.ts";
import type { CostRecord, RunRecord } from "./record.ts";

/**
 * The index of all runs in a folder. Results of comparisons are the truth; the index is a file that is made again from them whenever it
 * is missing, damaged, older than they are or of another version.
 */
export type Store = {
  /** The runs that match; each once, as the comparison has it that ended last, or as `match.comparison` has it. */
  list(filter?: Filter<RunRecord>): RunRecord[];
  /** Measured costs of steps that match, one for each variant and length; each measurement once. */
  costs(filter?: Filter<CostRecord>): CostRecord[];
  /** Adds runs, or replaces those of the same comparison and folder. */
  add(records: RunRecord | readonly RunRecord[]): Promise<void>;
  /** Adds costs, or replaces those of the same comparison, task, variant and length. */
  addCosts(records: readonly CostRecord[]): Promise<void>;
  /** Takes in what comparisons have written since. */
  sync(): Promise<void>;
  /** The result of one SELECT over the tables `runs` and `costs`; their columns are those of the records. */
  query(sql: string): Readonly<Record<string, unknown>>[];
  close(): void;
};

export type StoreOptions = {
  /** Told what its user should know, such as that the index was damaged and made again. */
  readonly onNote?: (text: string) => void;
};

/**
 * Opens the store of a folder, and takes in what comparisons have written since.
 *
 * @param folder with the folders of runs and comparisons
 * @throws FileError when the folder is missing, or the index cannot be written
 */
export async function openStore(_folder: string, _options: StoreOptions = {}): Promise<Store> {
  throw new Error("not yet");
}
