import { foldIn, permutation, randomKey } from "@tsformers/engine";
import type { EvalSplit } from "./task.ts";

/** What is in each split. */
export type Splits<Item> = Readonly<Record<"train" | EvalSplit, readonly Item[]>>;

const key = randomKey(-1);

/** Items in an order that is always the same and has nothing to do with theirs. */
export function mixed<Item>(items: readonly Item[]): Item[] {
  return permutation(foldIn(key, 0), items.length)
    .toNumbers()
    .map((index) => items[index]!);
}

/**
 * Splits data that have no splits of their own: a tenth, drawn without a seed, is for validation and another one for the test, at least one item
 * each. The same items, in the same order, are always split alike.
 */
export function tenths<Item>(items: readonly Item[]): Splits<Item> {
  const count = Math.max(1, Math.floor(items.length / 10));
  const all = mixed(items);
  return { valid: all.slice(0, count), test: all.slice(count, 2 * count), train: all.slice(2 * count) };
}
