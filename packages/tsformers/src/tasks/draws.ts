import { bitsOf, foldIn, type RandomKey, uniform } from "@tsformers/engine";

/** Numbers that are made in blocks, one after another. */
function inTurn(block: number, make: (index: number) => ArrayLike<number>): () => number {
  let made: ArrayLike<number> = [];
  let used = 0;
  return () => {
    if (used % block === 0) made = make(used / block);
    return made[used++ % block]!;
  };
}

/** A whole number from 0 up to, not including, `high`, which is at most 2³²; another one at each call. */
export type Draw = (high: number) => number;

/**
 * Random numbers one after another, for rows that need it is not known how many. They are uniformly distributed up to a relative error of
 * `high / 2³²`.
 */
export function draws(key: RandomKey): Draw {
  const word = inTurn(64, (index) => bitsOf(foldIn(key, index), 64));
  return (high) => Math.floor((word() / 2 ** 32) * high);
}

/** Numbers drawn one after another, for generators that need fractions, too. */
export type RandomNumbers = {
  /** 0 ≤ x < 1, a multiple of 2^−24. */
  next(): number;
  /** A whole number, 0 ≤ x < `count`. */
  below(count: number): number;
};

/** The numbers of a key, always the same ones. */
export function randomNumbers(key: RandomKey): RandomNumbers {
  const next = inTurn(512, (index) => uniform(foldIn(key, index), [512]).data as Float32Array);
  return { next, below: (count) => Math.floor(next() * count) };
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
