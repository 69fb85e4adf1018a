import { permutation, type RandomKey, randomKey } from "@tsformers/engine";
import type { EvalSplit } from "./task.ts";

/** Something for each split. */
export type Splits<T> = Readonly<Record<"train" | EvalSplit, T>>;

/** How splits are drawn: the same in every run. */
export const splitsKey: RandomKey = randomKey(-2);

/** Examples in a fixed random order: an evaluation that stops at its limit then has seen a fair sample. */
export function shuffled<T>(items: readonly T[], key: RandomKey = splitsKey): T[] {
  return permutation(key, items.length)
    .toNumbers()
    .map((index) => items[index]!);
}

/** As many items as a share says, in a fixed random order. */
export function divided<T>(items: readonly T[], share: number, key: RandomKey = splitsKey): [part: T[], rest: T[]] {
  const order = shuffled(items, key);
  const count = Math.round(items.length * share);
  return [order.slice(0, count), order.slice(count)];
}

/**
 * Splits data that have no splits of their own: a tenth, drawn without a seed, is for validation and another one for the test, at least one item
 * each. The same items, in the same order, are always split alike.
 */
export function tenths<T>(items: readonly T[]): Splits<readonly T[]> {
  const count = Math.max(1, Math.floor(items.length / 10));
  const all = shuffled(items);
  return { valid: all.slice(0, count), test: all.slice(count, 2 * count), train: all.slice(2 * count) };
}

/** The same done to each split. */
export function mapSplits<A, B>({ train, valid, test }: Splits<A>, change: (split: A) => B): Splits<B> {
  return { train: change(train), valid: change(valid), test: change(test) };
}
