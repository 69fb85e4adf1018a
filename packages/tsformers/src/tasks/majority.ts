import { foldIn, integers, NDArray, permutation, type RandomKey, randomKey } from "@tsformers/engine";
import * as z from "zod";
import { accuracy, classLoss } from "./metric.ts";
import { checkExtents, type LabelledBatch, type Task, type TaskViews } from "./task.ts";
import { lengthOption, seedOption, symbolCount, type TaskEntry, taskEntry } from "./task-entry.ts";

export type MajorityOptions = {
  /** Number of different symbols, each of which is a class. Default: 4. */
  readonly symbols?: number;
  /** T, positions of a training row. Default: 64. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { symbols: 4, length: 64 };

/** Evaluation has a fixed seed, so that runs with different seeds can be compared. */
const evalSeed = -1;
/** Rows scored in an evaluation. */
const defaultRows = 512;

/**
 * Which symbol occurs most often: a row of random symbols in random order, where one symbol occurs once more than each of the others. The
 * class is that symbol. No single position reveals it: a model has to count over the whole row.
 *
 * A row holds each symbol equally often and one symbol once more, as often as the length allows; the rest is padding. Tokens: 0 padding,
 * then the symbols.
 */
export function majorityTask(options: MajorityOptions = {}): Task<Required<Pick<TaskViews, "labelled">>> {
  const { symbols, length: standard, seed = 0 } = { ...defaults, ...options };
  if (!(Number.isInteger(symbols) && symbols >= 2))
    throw new RangeError(`majority: symbols must be an integer ≥ 2, got ${symbols}`);
  const batchOf = (key: RandomKey, first: number, batchSize: number, length: number, left: number): LabelledBatch => {
    checkExtents("majority", { batchSize, length });
    const each = Math.floor((length - 1) / symbols);
    if (each < 1) throw new RangeError(`majority: ${symbols} symbols need a length above ${symbols}, got ${length}`);
    const inputs = new Int32Array(batchSize * length);
    const mask = new Float32Array(batchSize * length);
    const labels = new Int32Array(batchSize);
    for (let row = 0; row < batchSize; row++) {
      const own = foldIn(key, first + row);
      const label = integers(foldIn(own, 0), [], { high: symbols }).item();
      const tokens = [...Array.from({ length: symbols * each }, (_, i) => 1 + (i % symbols)), 1 + label];
      const order = permutation(foldIn(own, 1), tokens.length).toNumbers();
      order.forEach((from, t) => {
        inputs[row * length + t] = tokens[from]!;
        mask[row * length + t] = 1;
      });
      labels[row] = label;
    }
    return {
      inputs: new NDArray([batchSize, length], "int32", inputs),
      mask: new NDArray([batchSize, length], "float32", mask),
      labels: new NDArray([batchSize], "int32", labels),
      weights: new NDArray(
        [batchSize],
        "float32",
        Float32Array.from(labels, (_, row) => (row < left ? 1 : 0)),
      ),
    };
  };
  return {
    name: "majority",
    vocabularySize: symbols + 1,
    length: standard,
    metrics: [classLoss, accuracy],
    fingerprint: `majority symbols=${symbols} seed=${seed}`,
    views: {
      labelled: {
        classes: symbols,
        trainBatch: (step, batchSize, length = standard) =>
          batchOf(foldIn(randomKey(seed), step), 0, batchSize, length, batchSize),
        evalBatches: (split, { batchSize, length, limit = defaultRows }) => {
          const key = foldIn(randomKey(evalSeed), split === "valid" ? 0 : 1);
          checkExtents("majority", { batchSize, length, limit });
          const batch = (first: number) => batchOf(key, first, batchSize, length, limit - first);
          batch(0); // so that a length that does not fit is reported here, not at the first batch
          return {
            *[Symbol.iterator]() {
              for (let first = 0; first < limit; first += batchSize) yield batch(first);
            },
          };
        },
      },
    },
  };
}

export type MajoritySettings = MajorityOptions;

export const majorityEntry: TaskEntry<"majority", MajoritySettings> = /* @__PURE__ */ taskEntry({
  name: "majority",
  title: "Majority",
  category: "generated",
  summary: "tell which symbol occurs most often (classification)",
  options: () =>
    z.strictObject({
      symbols: symbolCount().default(defaults.symbols).describe("how many different symbols there are"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: (settings) => majorityTask(settings),
});
