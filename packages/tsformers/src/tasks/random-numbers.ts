import { foldIn, type RandomKey, uniform } from "@tsformers/engine";

/** Numbers drawn one after another, for generators that do not know beforehand how many they need. */
export type RandomNumbers = {
  /** 0 ≤ x < 1, a multiple of 2^−24. */
  next(): number;
  /** A whole number, 0 ≤ x < `count`. */
  below(count: number): number;
};

/** Numbers drawn at a time. */
const blockSize = 512;

/** The numbers of a key, always the same ones. */
export function randomNumbers(key: RandomKey): RandomNumbers {
  let [block, place] = [0, blockSize];
  let values: Float32Array;
  const next = (): number => {
    if (place === blockSize) {
      values = uniform(foldIn(key, block++), [blockSize]).data as Float32Array;
      place = 0;
    }
    return values[place++]!;
  };
  return { next, below: (count) => Math.floor(next() * count) };
}
