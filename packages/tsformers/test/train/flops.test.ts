import {
  add,
  concat,
  cond,
  conv1d,
  exp,
  flatten,
  greater,
  isNdArray,
  matmul,
  mul,
  NDArray,
  reshape,
  scan,
  softmax,
  sum,
  type Tensor,
  trace,
  transpose,
  valueAndGrad,
} from "@tsformers/engine";
import { expect, test } from "vitest";
import { programFlops } from "../../src/train/flops.ts";

const flops = (fn: (...inputs: Tensor[]) => unknown, shapes: readonly number[][]): number => {
  const { structure, leaves } = flatten(
    shapes.map((shape) => new NDArray(shape, "float32", new Float32Array(shape.reduce((a, b) => a * b, 1)))),
    isNdArray,
  );
  return programFlops(trace(fn as never, structure, leaves).program);
};

test.each<[string, number, (...inputs: Tensor[]) => unknown, number[][]]>([
  [
    "a matrix product",
    2 * 3 * 4 * 5,
    (a, b) => matmul(a!, b!),
    [
      [3, 4],
      [4, 5],
    ],
  ],
  [
    "a batch of products",
    7 * 2 * 3 * 4 * 5,
    (a, b) => matmul(a!, b!),
    [
      [7, 3, 4],
      [7, 4, 5],
    ],
  ],
  [
    "a transposed one",
    2 * 3 * 4 * 5,
    (a, b) => matmul(a!, b!, { transposeA: true }),
    [
      [4, 3],
      [4, 5],
    ],
  ],
  // 2 rows, 8 − 3 + 1 places, 6 outputs, each of 3 inputs at 3 places.
  [
    "a convolution in groups",
    2 * 2 * 6 * 6 * 3 * 3,
    (x, w) => conv1d(x!, w!, { groups: 2 }),
    [
      [2, 8, 6],
      [3, 3, 6],
    ],
  ],
  [
    "arithmetic",
    12 + 12,
    (a, b) => exp(add(a!, b!)),
    [
      [3, 4],
      [3, 4],
    ],
  ],
  ["what only moves data", 0, (a) => transpose(reshape(concat([a!, a!], 0), [4, 6])), [[3, 4]]],
  ["a sum", 12, (a) => sum(a!), [[3, 4]]],
  ["softmax", 60, (a) => softmax(a!), [[3, 4]]],
  ["a loop", 5 * 4, (a, xs) => scan((carry, x) => [add(carry, x), x], a!, xs!), [[4], [5, 4]]],
  [
    "the longer branch",
    // The sum and the longer branch; a comparison counts nothing.
    100 + 200,
    (a) =>
      cond(
        greater(sum(a!), 0),
        () => exp(a!),
        () => exp(exp(a!)),
      ),
    [[100]],
  ],
])("%s", (_, expected, fn, shapes) => {
  expect(flops(fn, shapes)).toBe(expected);
});

test("a product forward and backward is three products", () => {
  const step = (a: Tensor, b: Tensor) => valueAndGrad(([x, y]: [Tensor, Tensor]) => sum(mul(matmul(x, y), 1)))([a, b]);
  const product = 2 * 30 * 40 * 50;
  const counted = flops(step, [
    [30, 40],
    [40, 50],
  ]);
  expect(counted).toBeGreaterThanOrEqual(3 * product);
  expect(counted).toBeLessThan(3.1 * product);
});
