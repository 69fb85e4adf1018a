import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ndarray } from "../../src/array/nd-array.ts";
import {
  bitsOf,
  foldIn,
  keyFromArray,
  keyToArray,
  type RandomKey,
  randomKey,
  splitKey,
  threefry2x32,
} from "../../src/array/random-key.ts";

type Pair = [number, number];

// Random123, tests/kat_vectors, lines "threefry2x32 20": counter, key, result.
const knownAnswers: [Pair, Pair, Pair][] = [
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x243f6a88, 0x85a308d3],
    [0x13198a2e, 0x03707344],
    [0xc4923a9c, 0x483df7a0],
  ],
];

const words = fc.integer({ min: 0, max: 0xffffffff });
const keys: fc.Arbitrary<RandomKey> = fc.tuple(words, words).map((pair) => ({ words: pair }));

describe("threefry2x32", () => {
  it.each(knownAnswers)("counter %j under key %j is %j", (counter, key, result) => {
    expect(threefry2x32(key, counter)).toEqual(result);
  });

  it("flips about half of the 64 bits when one bit of the counter flips", () => {
    const key: Pair = [1, 2];
    const base = threefry2x32(key, [3, 4]);
    let flipped = 0;
    for (let bit = 0; bit < 32; bit++) {
      const changed = threefry2x32(key, [(3 ^ (1 << bit)) >>> 0, 4]);
      for (const i of [0, 1] as const) flipped += bitCount((base[i] ^ changed[i]) >>> 0);
    }
    // 2,048 fair bits: mean 1,024, deviation 22.6; five deviations.
    expect(Math.abs(flipped - 1024)).toBeLessThan(113);
  });
});

describe("randomKey", () => {
  it("is the seed's 64 bits, high word first", () => {
    expect(randomKey(0).words).toEqual([0, 0]);
    expect(randomKey(2 ** 32 + 5).words).toEqual([1, 5]);
    expect(randomKey(-1).words).toEqual([0xffffffff, 0xffffffff]);
    expect(randomKey(0x13198a2e03707344n).words).toEqual([0x13198a2e, 0x03707344]);
    expect(randomKey(7)).toEqual(randomKey(7n));
  });

  it("refuses seeds that are not 64-bit integers", () => {
    for (const seed of [0.5, Number.NaN, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n]) {
      expect(() => randomKey(seed)).toThrow(/^randomKey: expected a .*got /);
    }
  });
});

describe("bitsOf", () => {
  it("puts first words before second words, cut to length", () => {
    fc.assert(
      fc.property(keys, fc.integer({ min: 0, max: 65 }), (key, length) => {
        const half = Math.ceil(length / 2);
        const blocks = Array.from({ length: half }, (_, i) => threefry2x32(key.words, [i, 0]));
        const expected = [...blocks.map(([first]) => first), ...blocks.map(([, second]) => second)].slice(0, length);
        expect(Array.from(bitsOf(key, length))).toEqual(expected);
      }),
    );
  });

  it("sets each of the 32 bits half of the time", () => {
    const stream = bitsOf(randomKey(42), 100_000);
    for (let bit = 0; bit < 32; bit++) {
      let ones = 0;
      for (const word of stream) ones += (word >>> bit) & 1;
      // Deviation 158; five deviations.
      expect(Math.abs(ones - 50_000)).toBeLessThan(790);
    }
  });

  it("refuses a length that is none", () => {
    expect(() => bitsOf(randomKey(0), -1)).toThrow("bitsOf: expected length");
    expect(() => bitsOf(randomKey(0), 1.5)).toThrow("got 1.5");
  });
});

describe("splitKey and foldIn", () => {
  it("follow their documented rules", () => {
    const key = randomKey(9);
    expect(splitKey(key, 3).map((child) => child.words)).toEqual(
      [0, 1, 2].map((j) => threefry2x32(key.words, [j, 0x5eed5eed])),
    );
    expect(foldIn(key, 17).words).toEqual(threefry2x32(key.words, [17, 0xf01df01d]));
  });

  it("gives children that do not depend on how many there are", () => {
    expect(splitKey(randomKey(1))).toEqual(splitKey(randomKey(1), 5).slice(0, 2));
    expect(splitKey(randomKey(1), 0)).toEqual([]);
  });

  it("gives keys that differ from each other, from folded ones and from the parent", () => {
    const key = randomKey(3);
    const family = [key, ...splitKey(key, 1000), ...Array.from({ length: 1000 }, (_, i) => foldIn(key, i))];
    expect(new Set(family.map((member) => member.words.join())).size).toBe(2001);
  });

  it("refuses counts and data outside 32 bits", () => {
    expect(() => splitKey(randomKey(0), -1)).toThrow("splitKey: expected count");
    expect(() => foldIn(randomKey(0), 2 ** 32)).toThrow("foldIn: expected data");
  });
});

describe("keyToArray", () => {
  it("holds the bits as int32, and keyFromArray reads them", () => {
    expect(keyToArray({ words: [0xffffffff, 5] }).toNumbers()).toEqual([-1, 5]);
    fc.assert(
      fc.property(keys, (key) => {
        expect(keyFromArray(keyToArray(key))).toEqual(key);
      }),
    );
  });

  it("keyFromArray names what it got", () => {
    expect(() => keyFromArray(ndarray([1, 2]))).toThrow("keyFromArray: expected int32 [2], got float32 [2]");
    expect(() => keyFromArray(ndarray([1, 2, 3], [3], "int32"))).toThrow("got int32 [3]");
  });
});

function bitCount(word: number): number {
  return word.toString(2).replaceAll("0", "").length;
}
