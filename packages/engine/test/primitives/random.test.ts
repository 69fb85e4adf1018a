import { afterAll, expect, test } from "vitest";
import { bitsOf, foldIn, keyToArray, randomKey, splitKey } from "../../src/array/random-key.ts";
import { fromNumbers, normal, uniform } from "../../src/index.ts";
import { bernoulli, randomNormal, randomUniform } from "../../src/primitives/random.ts";
import { foldKey, randomBits, splitKeys } from "../../src/primitives/random-bits.ts";
import { evaluate } from "../../src/runtime/compile.ts";
import { openCpu } from "../../src/runtime/node.ts";
import type { Tensor } from "../../src/trace/tensor.ts";

const device = await openCpu();
afterAll(() => device.close());
const seeds = [0, 7, -1, 2 ** 40 + 3];

test.each(seeds)("the graph draws the host's words, seed %i", async (seed) => {
  const key = randomKey(seed);
  for (const length of [1, 2, 101]) {
    const words = await evaluate((k: Tensor) => randomBits(k, [length]), device, keyToArray(key));
    expect(Uint32Array.from(words.data as Int32Array)).toEqual(bitsOf(key, length));
  }
});

test.each(seeds)("the graph makes the host's keys, seed %i", async (seed) => {
  const key = randomKey(seed);
  const children = await evaluate((k: Tensor) => splitKeys(k, 5), device, keyToArray(key));
  expect(children.map(({ data }) => data)).toEqual(splitKey(key, 5).map((child) => keyToArray(child).data));
  for (const data of [0, 12345, 2 ** 31 - 1]) {
    const folded = await evaluate(foldKey, device, keyToArray(key), fromNumbers([data], [], "int32"));
    expect(folded.data).toEqual(keyToArray(foldIn(key, data)).data);
  }
});

test("uniform numbers are the host's, normal ones up to rounding", async () => {
  const key = randomKey(5);
  const drawn = await evaluate(
    (k: Tensor) => ({ u: randomUniform(k, [3, 7]), z: randomNormal(k, [5, 5]) }),
    device,
    keyToArray(key),
  );
  expect(drawn.u.data).toEqual(uniform(key, [3, 7]).data);
  const expected = normal(key, [5, 5]).toNumbers();
  drawn.z.toNumbers().forEach((z, i) => {
    // r·cos(2πu): float32 angles near 2π are 5e-7 apart, times r ≤ 5.8
    expect(Math.abs(z - expected[i]!)).toBeLessThan(5e-6);
  });
});

test("bernoulli compares the lower and then the upper halves of the words", async () => {
  const key = randomKey(11);
  const drawn = await evaluate((k: Tensor) => bernoulli(k, 0.25, [3, 3]), device, keyToArray(key));
  const words = Array.from(bitsOf(key, 5));
  const halves = [...words.map((word) => word & 0xffff), ...words.map((word) => word >>> 16)].slice(0, 9);
  expect(drawn.toNumbers()).toEqual(halves.map((half) => (half < 16384 ? 1 : 0)));
});

test("bernoulli is true as often as it should be", async () => {
  const n = 20_000;
  for (const probability of [0, 0.1, 0.5, 1]) {
    const drawn = await evaluate((k: Tensor) => bernoulli(k, probability, [n]), device, keyToArray(randomKey(3)));
    expect(drawn.dtype).toBe("bool");
    const rate = drawn.toNumbers().reduce((a, b) => a + b, 0) / n;
    // five standard deviations, and exactly at the ends
    expect(Math.abs(rate - probability)).toBeLessThanOrEqual(5 * Math.sqrt((probability * (1 - probability)) / n));
  }
  await expect(evaluate((k: Tensor) => bernoulli(k, 1.5, [n]), device, keyToArray(randomKey(3)))).rejects.toThrow(
    /bernoulli: expected a probability from 0 to 1 for \[20000\], got 1.5/,
  );
});
