import { afterAll, expect, test } from "vitest";
import {
  add,
  evaluate,
  grad,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
  toOnnx,
  traceBody,
  withOperator,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

const device = await openCpu();
afterAll(() => device.close());

const [a, b] = [normal(randomKey(1), [3, 4]), normal(randomKey(2), [4, 5])];

const written = (a: Tensor, b: Tensor): Tensor => mul(matmul(a, b), 2);

/** {@link written} by an operator of ONNX Runtime, with a factor that may be wrong. */
function byOperator(factor: number): (a: Tensor, b: Tensor) => Tensor {
  const run = withOperator(
    (graph, names) => [
      graph.node("FusedMatMul", names, { domain: "com.microsoft", attributes: { alpha: { float: factor } } }),
    ],
    (a, b) => [written(a!, b!)],
  );
  return (a, b) => run(a, b)[0]!;
}

const numbers = async (fn: (a: Tensor, b: Tensor) => Tensor): Promise<number[]> =>
  ((await evaluate(fn, device, a, b)) as unknown as NDArray).toNumbers();

test("the operator is what runs", async () => {
  const expected = await numbers(written);
  const [same, thrice] = [await numbers(byOperator(2)), await numbers(byOperator(3))];
  for (const [i, value] of expected.entries()) {
    expect(same[i]).toBeCloseTo(value, 5);
    expect(thrice[i]).toBeCloseTo(1.5 * value, 5);
  }
});

test("the gradient is that of the function as it is written", async () => {
  const of = (fn: (a: Tensor, b: Tensor) => Tensor) => (a: Tensor, b: Tensor) =>
    grad((a: Tensor) => sum(mul(fn(a, b), fn(a, b))))(a);
  const expected = await numbers(of(written));
  for (const [i, value] of (await numbers(of(byOperator(2)))).entries()) expect(value).toBeCloseTo(expected[i]!, 4);
});

test("portable models have the function as it is written", () => {
  const { program } = traceBody([a, b], ([a, b]) => byOperator(2)(a!, b!));
  const domains = (portable: boolean) => toOnnx(program, { portable }).graph.nodes.map(({ domain }) => domain);
  expect(domains(true)).not.toContain("com.microsoft");
  expect(domains(false)).toContain("com.microsoft");
});

test("a function of more than its arguments is refused", () => {
  const reading = () =>
    traceBody([a], ([a]) => {
      const outer = add(a!, 1);
      const run = withOperator(
        (graph, names) => [graph.node("Relu", names)],
        (x) => [add(x!, outer)],
      );
      return run(a!);
    });
  expect(reading).toThrow(/withOperator: expected a function of its 1 arguments alone/);
});
