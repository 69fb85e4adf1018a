import { expect, test } from "vitest";
import {
  concat,
  evaluate,
  expandDims,
  matmul,
  type NDArray,
  normal,
  randomKey,
  reshape,
  slice,
  type Tensor,
  toOnnx,
  traceBody,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";
import { interpret } from "../../src/trace/interpret.ts";

const device = await openCpu({ threads: 1 });
const shapes = [
  [1, 4, 1, 8],
  [1, 2, 6, 8],
  [1, 2, 3, 8],
  [1, 2, 1, 8],
] as const;

/** One query of grouped heads over keys of three parts, and what its weights mix of them. */
function attended(q: Tensor, a: Tensor, b: Tensor, c: Tensor) {
  const keys = concat([concat([a, b], 2), c], 2);
  const grouped = reshape(q, [1, 2, 2, 1, 8]);
  const logits = matmul(grouped, expandDims(keys, 2), { transposeB: true, scale: 0.5 });
  return [logits, matmul(logits, expandDims(keys, 2)), slice(keys, 2, 9, 10), slice(keys, 2, 1, 4)] as const;
}

const { program } = traceBody(
  shapes.map((shape) => ({ shape, dtype: "float32" })),
  ([q, a, b, c]) => attended(q!, a!, b!, c!),
);

test("a row times a concatenation gives the same numbers", async () => {
  const inputs = shapes.map((shape, i) => normal(randomKey(i), shape));
  const [q, a, b, c] = inputs as [NDArray, NDArray, NDArray, NDArray];
  const found = await evaluate(attended, device, q, a, b, c);
  const expected = interpret(program, inputs);
  (found as unknown as typeof expected).forEach((array, i) => {
    expect(array.shape).toEqual(expected[i]!.shape);
    array.toNumbers().forEach((x, at) => {
      expect(x).toBeCloseTo(expected[i]!.toNumbers()[at]!, 4);
    });
  });
});

test("nothing is joined for products of few rows, nor what is cut out again", () => {
  const { program } = traceBody(
    shapes.map((shape) => ({ shape, dtype: "float32" })),
    ([q, a, b, c]) => {
      const [, mixed, own] = attended(q!, a!, b!, c!);
      return [mixed, own];
    },
  );
  const concats = toOnnx(program).graph.nodes.filter(({ op }) => op === "Concat");
  // That of the logits, [..., 10], which the program gives on.
  expect(concats).toHaveLength(1);
});

test("a product of many rows joins once", () => {
  const { program } = traceBody(
    [
      { shape: [64, 8], dtype: "float32" },
      { shape: [3, 8], dtype: "float32" },
      { shape: [4, 8], dtype: "float32" },
    ],
    ([x, a, b]) => matmul(x!, concat([a!, b!], 0), { transposeB: true }),
  );
  expect(toOnnx(program).graph.nodes.map(({ op }) => op)).toEqual(["Concat", "FusedMatMul"]);
});
