import { bitsOf, foldIn, type RandomKey } from "@tsformers/engine";

/** A whole number from 0 up to, not including, `high`, which is at most 2³²; another one at each call. */
export type Draw = (high: number) => number;

/** Words made at a time. */
const block = 64;

/**
 * Random numbers one after another, for rows that need it is not known how many. They are uniformly distributed up to a relative error of
 * `high / 2³²`.
 */
export function draws(key: RandomKey): Draw {
  let words: Uint32Array = new Uint32Array(0);
  let used = 0;
  return (high) => {
    if (used % block === 0) words = bitsOf(foldIn(key, used / block), block);
    return Math.floor((words[used++ % block]! / 2 ** 32) * high);
  };
}

/** One of some alternatives, each as likely as the others. */
export function chosen<T>(draw: Draw, alternatives: readonly T[]): T {
  return alternatives[draw(alternatives.length)]!;
}

/** Whether something of a given probability happens. */
export function happens(draw: Draw, probability: number): boolean {
  return draw(2 ** 32) < probability * 2 ** 32;
}

/** Numbers 0 ≤ x < high, all different, in random order, without a list of all of them. */
export function distinct(draw: Draw, count: number, high: number): number[] {
  // Fisher–Yates on the numbers 0 … high − 1, of which only those that were moved are kept.
  const moved = new Map<number, number>();
  return Array.from({ length: count }, (_, i) => {
    const j = i + draw(high - i);
    const value = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    return value;
  });
}

/**
 * Different indices of `weights` in the order drawn: each is drawn in proportion to its weight among those that are left.
 *
 * @source Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir": the `count` smallest of `−ln(u) / weight`
 */
export function weightedDistinct(draw: Draw, count: number, weights: readonly number[]): number[] {
  const waits = weights.map((weight, index) => ({ index, wait: -Math.log((draw(2 ** 32) + 1) / 2 ** 32) / weight }));
  waits.sort((a, b) => a.wait - b.wait);
  return waits.slice(0, count).map(({ index }) => index);
}
