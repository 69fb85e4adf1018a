import { NDArray } from "./nd-array.ts";
import { shapeText } from "./shape.ts";

/**
 * An explicit source of randomness: two uint32 words, high word of the seed first. The same key always gives the same
 * numbers, so use each key once; {@link splitKey} and {@link foldIn} make new ones.
 */
export type RandomKey = { readonly words: readonly [number, number] };

/** Second counter words, which separate the stream, the children of a split, and folded keys. */
const streamDomain = 0;
const splitDomain = 0x5eed5eed;
const foldDomain = 0xf01df01d;

const parity = 0x1bd11bda;

/**
 * The Threefry-2x32 block function with 20 rounds: a keyed bijection of 64-bit counters, as two uint32 words.
 *
 * @source Salmon, Moraes, Dror & Shaw 2011, "Parallel Random Numbers: As Easy as 1, 2, 3", §3.2 and Table 2
 */
export function threefry2x32(key: readonly [number, number], counter: readonly [number, number]): [number, number] {
  const out = new Uint32Array(2);
  writeBlock(key, counter[0], counter[1], out, 0, 1);
  return [out[0]!, out[1]!];
}

/**
 * A key from a seed: the 64 bits of the seed in two's complement.
 *
 * @throws RangeError when `seed` is not a safe integer, or a bigint outside −2^63 ≤ seed < 2^64
 */
export function randomKey(seed: number | bigint): RandomKey {
  if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
    throw new RangeError(`randomKey: expected a safe integer or a bigint as seed, got ${seed}`);
  }
  const wide = BigInt(seed);
  if (wide < -(2n ** 63n) || wide >= 2n ** 64n) {
    throw new RangeError(`randomKey: expected a seed of at most 64 bits, got ${seed}`);
  }
  const bits = BigInt.asUintN(64, wide);
  return { words: [Number(bits >> 32n), Number(bits & 0xffffffffn)] };
}

/**
 * Independent child keys: child `j` is both words of `threefry(key, [j, 0x5eed5eed])`, so that the first children do
 * not depend on `count`.
 */
export function splitKey(key: RandomKey, count = 2): RandomKey[] {
  requireUint32("splitKey", "count", count);
  return Array.from({ length: count }, (_, child) => ({ words: threefry2x32(key.words, [child, splitDomain]) }));
}

/** The key for item `data` (a step, a layer) under `key`: both words of `threefry(key, [data, 0xf01df01d])`. */
export function foldIn(key: RandomKey, data: number): RandomKey {
  requireUint32("foldIn", "data", data);
  return { words: threefry2x32(key.words, [data, foldDomain]) };
}

/** The bits of a key as an int32 array, to pass it to a compiled function. @shape → [2] */
export function keyToArray(key: RandomKey): NDArray {
  return new NDArray([2], "int32", Int32Array.from(key.words));
}

/** The inverse of {@link keyToArray}. @throws TypeError when the array is not int32 of shape [2] */
export function keyFromArray(array: NDArray): RandomKey {
  if (array.dtype !== "int32" || array.shape.length !== 1 || array.size !== 2) {
    throw new TypeError(`keyFromArray: expected int32 [2], got ${array.dtype} ${shapeText(array.shape)}`);
  }
  const words = Uint32Array.from(array.data as Int32Array);
  return { words: [words[0]!, words[1]!] };
}

/**
 * The first `length` words of a key's stream; `randomBits` in a graph gives the same ones.
 *
 * With `h = ceil(length / 2)` and `block[i] = threefry(key, [i, 0])` for `0 ≤ i < h`: word `i` is the first word of
 * `block[i]`, word `h + i` the second, cut to `length`. A stream is therefore not a prefix of a longer one.
 */
export function bitsOf(key: RandomKey, length: number): Uint32Array {
  requireUint32("bitsOf", "length", length);
  const half = Math.ceil(length / 2);
  const words = new Uint32Array(2 * half);
  for (let i = 0; i < half; i++) writeBlock(key.words, i, streamDomain, words, i, half + i);
  return words.subarray(0, length);
}

/** Writes one block to `out[first]` and `out[second]` without allocation, for the sake of long streams. */
function writeBlock(
  key: readonly [number, number],
  counter0: number,
  counter1: number,
  out: Uint32Array,
  first: number,
  second: number,
): void {
  let a = key[1] | 0;
  let b = parity ^ key[0] ^ key[1];
  let c = key[0] | 0;
  let x0 = (counter0 + c) | 0;
  let x1 = (counter1 + a) | 0;
  for (let group = 0; group < 5; group++) {
    const even = (group & 1) === 0;
    x0 = (x0 + x1) | 0;
    x1 = rotate(x1, even ? 13 : 17) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = rotate(x1, even ? 15 : 29) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = rotate(x1, even ? 26 : 16) ^ x0;
    x0 = (x0 + x1) | 0;
    x1 = rotate(x1, even ? 6 : 24) ^ x0;
    x0 = (x0 + a) | 0;
    x1 = (x1 + b + group + 1) | 0;
    const used = a;
    a = b;
    b = c;
    c = used;
  }
  out[first] = x0;
  out[second] = x1;
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function requireUint32(caller: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new RangeError(`${caller}: expected ${name} to be an integer from 0 to 2^32 − 1, got ${value}`);
  }
}
