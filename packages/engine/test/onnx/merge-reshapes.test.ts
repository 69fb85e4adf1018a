import { expect, test } from "vitest";
import {
  evaluate,
  fromNumbers,
  mul,
  type Program,
  reshape,
  sin,
  type Tensor,
  toOnnx,
  traceBody,
  transpose,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

const programOf = (shape: readonly number[], fn: (x: Tensor) => unknown): Program =>
  traceBody([{ shape, dtype: "float32" }], ([x]) => fn(x!)).program;
const opsOf = (shape: readonly number[], fn: (x: Tensor) => unknown) =>
  toOnnx(programOf(shape, fn)).graph.nodes.map(({ op }) => op);

/** As heads are split and joined. */
const heads = (x: Tensor) => {
  const split = transpose(reshape(x, [x.shape[0]!, x.shape[1]!, 2, 3]), [0, 2, 1, 3]);
  return { split: sin(split), joined: reshape(transpose(split, [0, 2, 1, 3]), x.shape) };
};

test("of one position, splitting heads is one reshape, and joining them again none", () => {
  expect(opsOf([1, 1, 6], heads)).toEqual(["Reshape", "Sin", "Identity"]);
  expect(opsOf([1, 2, 6], heads).filter((op) => op === "Transpose")).toHaveLength(2);
});

test("a shape in between that something reads stays", () => {
  const both = (x: Tensor) => {
    const inner = reshape(x, [2, 6]);
    return [mul(inner, 2), reshape(inner, [3, 4])];
  };
  expect(opsOf([12], both).filter((op) => op === "Reshape")).toHaveLength(2);
});

test("the numbers are the same, of one position and of several", async () => {
  const device = await openCpu();
  for (const positions of [1, 2]) {
    const x = fromNumbers(
      Array.from({ length: 6 * positions }, (_, i) => i),
      [1, positions, 6],
    );
    const { split, joined } = await evaluate(heads, device, x);
    expect(joined.toNumbers()).toEqual(x.toNumbers());
    const order = Array.from({ length: 6 * positions }, (_, i) => {
      const [head, position, d] = [Math.floor(i / (3 * positions)), Math.floor(i / 3) % positions, i % 3];
      return Math.sin(position * 6 + head * 3 + d);
    });
    expect(split.shape).toEqual([1, 2, positions, 3]);
    split.toNumbers().forEach((value, i) => {
      expect(value).toBeCloseTo(order[i]!, 5);
    });
  }
  await device.close();
});
