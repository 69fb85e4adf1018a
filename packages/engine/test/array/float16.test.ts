import fc from "fast-check";
import { expect, it } from "vitest";
import { fromHalf, toHalf } from "../../src/array/float16.ts";

it("every bit pattern survives the way to a number and back", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = fromHalf(bits);
    const isNaNPattern = (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    if (Number.isNaN(value) !== isNaNPattern) throw new Error(`pattern ${bits} became ${value}`);
    if (isNaNPattern) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true);
    else if (toHalf(value) !== bits) throw new Error(`pattern ${bits} became ${value} became ${toHalf(value)}`);
  }
});

it.each([
  [0, 0x0000],
  [-0, 0x8000],
  [1, 0x3c00],
  [-2, 0xc000],
  [65504, 0x7bff],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [-1e300, 0xfc00],
  [Number.POSITIVE_INFINITY, 0x7c00],
  [2 ** -24, 0x0001],
  [2 ** -25, 0x0000],
  [2 ** -25 + 2 ** -60, 0x0001],
  [1 + 2 ** -11, 0x3c00],
  [1 + 2 ** -11 + 2 ** -40, 0x3c01],
  [1 + 3 * 2 ** -11, 0x3c02],
  [1 + 3 * 2 ** -11 - 2 ** -40, 0x3c01],
])("%d is stored as %d", (value, bits) => {
  expect(toHalf(value)).toBe(bits);
});

it("gives the nearest half of any number, the even one of two", () => {
  const finite = Array.from({ length: 0x7c00 }, (_, bits) => fromHalf(bits));
  const nearest = (value: number): number => {
    const above = finite.findIndex((half) => half >= value);
    const below = above - 1;
    const toAbove = finite[above]! - value;
    const toBelow = value - finite[below]!;
    if (toAbove === toBelow) return above % 2 === 0 ? above : below;
    return toAbove < toBelow ? above : below;
  };
  const numbers = fc.oneof(
    fc.double({ min: 2 ** -26, max: 65000, noNaN: true }),
    fc.double({ min: 2 ** -26, max: 2 ** -10, noNaN: true }),
    fc.integer({ min: 0, max: 0x7bfe }).map((bits) => (finite[bits]! + finite[bits + 1]!) / 2),
  );
  fc.assert(
    fc.property(numbers, (value) => {
      expect(toHalf(value)).toBe(value === 0 ? 0 : nearest(value));
      expect(toHalf(-value)).toBe(toHalf(value) | 0x8000);
    }),
    { numRuns: 500 },
  );
});
