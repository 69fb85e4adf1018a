import { foldIn, permutation, type RandomKey, randomKey } from "@tsformers/engine";
import { nextForm, type Row } from "../row-forms.ts";
import { generatedRows, rowsView } from "../rows.ts";
import type { Batch, TaskView } from "../task.ts";
import { type MqarRows, mqarProtocol } from "./mqar-protocol.ts";

/** The longest rows of the mix. */
export const mixLength: number = Math.max(...mqarProtocol.train.map(({ length }) => length));

/**
 * The published mix of training rows. All rows of a batch have one length and one number of pairs; of nine batches in a row five have
 * (L, N) = (64, 4) and one each (128, 8), (256, 16), (256, 32) and (256, 64), in random order. Evaluation has, at each published length, the
 * published number of pairs, the largest of three at 64, and scores 1,000 rows.
 *
 * @param options.trainingRows how many different training rows there are, of each size in proportion
 * @throws RangeError from evaluation at a length that was not published
 */
export function mqarMix(
  makeRow: (key: RandomKey, size: { readonly length: number; readonly pairs: number }) => Row,
  { seed, trainingRows }: { readonly seed: number; readonly trainingRows?: number | undefined },
): TaskView<Batch> {
  const { train, test } = mqarProtocol;
  const all = train.reduce((total, { rows }) => total + rows, 0);
  const least = Math.min(...train.map(({ rows }) => rows));
  const cycle = train.flatMap((size) => new Array<MqarRows>(size.rows / least).fill(size));
  const trained = new Map(
    train.map((size) => {
      const { length, pairs, rows } = size;
      const own = trainingRows && Math.max(1, Math.round((trainingRows * rows) / all));
      // With the key of the row alone, rows of all sizes would begin alike.
      const source = generatedRows((key) => makeRow(foldIn(key, pairs), size), { seed, trainingRows: own });
      return [size, rowsView({ name: "mqar", length, limit: rows, form: nextForm, source })] as const;
    }),
  );
  const orderKey = foldIn(randomKey(seed), 1);
  /** The size of an update's rows, and how many updates before it had that size. */
  const at = (step: number) => {
    const number = Math.floor(step / cycle.length);
    const order = permutation(foldIn(orderKey, number), cycle.length)
      .toNumbers()
      .map((index) => cycle[index]!);
    const place = step % cycle.length;
    const count = (sizes: readonly MqarRows[]) => sizes.filter((size) => size === order[place]).length;
    return { size: order[place]!, turn: number * count(cycle) + count(order.slice(0, place)) };
  };
  const tested = rowsView({
    name: "mqar",
    length: mixLength,
    limit: { rows: test[0]!.rows },
    form: nextForm,
    source: generatedRows((key, length) => makeRow(key, { length, pairs: testedPairs(length) }), { seed }),
  });
  return {
    ...tested,
    lengths: { cycle: cycle.map(({ length }) => length), at: (step) => at(step).size.length },
    trainBatch: (step, batchSize, length) => {
      const { size, turn } = at(step);
      // Rows of another length are only asked for to see what they cost.
      if (length !== undefined && length !== size.length) return tested.trainBatch(step, batchSize, length);
      return trained.get(size)!.trainBatch(turn, batchSize);
    },
  };
}

/** @throws RangeError when no rows of this length were published */
function testedPairs(length: number): number {
  const { test } = mqarProtocol;
  const own = test.filter((size) => size.length === length).map(({ pairs }) => pairs);
  if (own.length > 0) return Math.max(...own);
  const lengths = [...new Set(test.map((size) => size.length))].join(", ");
  throw new RangeError(`mqar: the published mix is tested at lengths ${lengths}, got ${length}`);
}
