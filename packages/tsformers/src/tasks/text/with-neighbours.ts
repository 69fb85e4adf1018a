import { NDArray } from "@tsformers/engine";
import type { Splits } from "../splits.ts";
import type { Batch, EvalSplit, TaskView } from "../task.ts";
import type { TextTask } from "./text.ts";

/** For each token of each split, which tokens followed contexts like the one that it ends. */
export type NeighbourTable = {
  /** k */
  readonly count: number;
  /** Of the text that it is for: `TextSource.fingerprint`. */
  readonly text: string;
  /** Tells tables for one text apart. */
  readonly sum: string;
  /** int32 [n, k] for a split of n tokens. */
  readonly splits: Splits<Int32Array>;
};

/**
 * A text whose segments carry neighbours, [B, T, k], for models that read them.
 *
 * @param name what the table is called in errors
 * @throws RangeError when the table is that of another text, or holds something else than its tokens
 */
export function withNeighbours(task: TextTask, table: NeighbourTable, name = "neighbours"): TextTask {
  const { text, views } = task;
  if (table.text !== text.fingerprint)
    throw new RangeError(
      `${name}: is for another text (${table.text}; this is ${text.fingerprint}); make it for this one`,
    );
  for (const [split, tokens] of Object.entries(table.splits)) {
    const expected = text.splits[split as "train" | EvalSplit].length * table.count;
    if (tokens.length !== expected)
      throw new RangeError(`${name}: expected ${expected} neighbours for ${split}, found ${tokens.length}`);
    const wrong = tokens.find((token) => token < 0 || token >= task.vocabularySize);
    if (wrong !== undefined)
      throw new RangeError(`${name}: expected tokens of 0 … ${task.vocabularySize - 1}, found ${wrong}`);
  }
  const { segments } = views;
  const withOwn = (batch: Batch, { inputs: { shape, data } }: Batch, split: "train" | EvalSplit): Batch => {
    const { count } = table;
    const neighbours = new Int32Array(data.length * count);
    (data as Int32Array).forEach((place, i) => {
      neighbours.set(table.splits[split].subarray(place * count, (place + 1) * count), i * count);
    });
    return { ...batch, neighbours: new NDArray([...shape, count], "int32", neighbours) };
  };
  const view: TaskView<Batch> = {
    ...segments,
    trainBatch: (...at) => withOwn(segments.trainBatch(...at), text.places.trainBatch(...at), "train"),
    evalBatches: (split, options) => {
      const [batches, places] = [segments.evalBatches(split, options), text.places.evalBatches(split, options)];
      return {
        *[Symbol.iterator]() {
          const other = places[Symbol.iterator]();
          for (const batch of batches) yield withOwn(batch, other.next().value as Batch, split);
        },
      };
    },
  };
  return {
    ...task,
    fingerprint: `${task.fingerprint} neighbours=${table.sum}`,
    views: { ...views, segments: view },
  };
}
