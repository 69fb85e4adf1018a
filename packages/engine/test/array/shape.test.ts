import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { broadcastShapes, resolveAxis, shapesEqual, shapeText, sizeOfShape, stridesOf } from "../../src/array/shape.ts";

describe("broadcastShapes", () => {
  it.each([
    [[], [], []],
    [[3], [], [3]],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [
      [4, 1, 3],
      [5, 1],
      [4, 5, 3],
    ],
    [
      [0, 3],
      [1, 3],
      [0, 3],
    ],
    [[1], [0], [0]],
  ])("%j with %j is %j, either way round", (a, b, expected) => {
    expect(broadcastShapes("add", a, b)).toEqual(expected);
    expect(broadcastShapes("add", b, a)).toEqual(expected);
  });

  it("names the caller, both shapes and the axis", () => {
    expect(() => broadcastShapes("add", [4, 2, 3], [5, 3])).toThrow(
      new RangeError("add: shapes [4, 2, 3] and [5, 3] do not broadcast at axis 1"),
    );
    expect(() => broadcastShapes("mul", [0], [2])).toThrow("mul: shapes [0] and [2] do not broadcast at axis 0");
  });
});

it("resolveAxis counts negative axes from the end and names what is outside", () => {
  expect(resolveAxis("sum", -1, [2, 3])).toBe(1);
  expect(resolveAxis("sum", 0, [2, 3])).toBe(0);
  for (const axis of [2, -3, 0.5, Number.NaN]) {
    expect(() => resolveAxis("sum", axis, [2, 3])).toThrow(`sum: axis ${axis} is outside shape [2, 3]`);
  }
});

it("strides address every element once, in order", () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
  fc.assert(
    fc.property(shapes, (shape) => {
      const strides = stridesOf(shape);
      let indices: number[][] = [[]];
      for (const n of shape) indices = indices.flatMap((at) => Array.from({ length: n }, (_, i) => [...at, i]));
      const offsets = indices.map((at) => at.reduce((sum, i, axis) => sum + i * strides[axis]!, 0));
      expect(offsets).toEqual(Array.from({ length: sizeOfShape(shape) }, (_, i) => i));
    }),
  );
});

it("shapes compare and print", () => {
  expect(shapesEqual([2, 3], [2, 3])).toBe(true);
  expect(shapesEqual([2, 3], [3, 2])).toBe(false);
  expect(shapesEqual([2], [2, 1])).toBe(false);
  expect(shapeText([2, 3])).toBe("[2, 3]");
  expect(sizeOfShape([])).toBe(1);
});
