import { expect, test } from "vitest";
import {
  add,
  compile,
  concat,
  customGradient,
  exp,
  grad,
  interpret,
  loop,
  matmul,
  mul,
  type NDArray,
  ndarray,
  readTree,
  recompute,
  recomputeEach,
  scan,
  sin,
  stopGradient,
  sum,
  type Tensor,
  tanh,
  toOnnx,
  traceBody,
  valueAndGrad,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

/** A function's program on the float64 reference. */
function run(fn: (...inputs: Tensor[]) => unknown, ...inputs: NDArray[]): number[][] {
  const { program } = traceBody(inputs, (tensors) => fn(...tensors));
  return interpret(program, inputs).map((array) => array.toNumbers());
}

/** Central differences of a scalar function at each element of its first input. */
function differences(fn: (...inputs: Tensor[]) => Tensor, at: NDArray, ...rest: NDArray[]): number[] {
  const values = at.toNumbers();
  const value = (i: number, delta: number) => {
    const moved = values.map((x, j) => (j === i ? x + delta : x));
    return run(fn, ndarray(Float64Array.from(moved), at.shape), ...rest)[0]![0]!;
  };
  return values.map((_, i) => (value(i, 1e-5) - value(i, -1e-5)) / 2e-5);
}

function expectClose(actual: readonly number[], expected: readonly number[], digits = 6): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, x] of actual.entries()) expect(x).toBeCloseTo(expected[i]!, digits);
}

const w = ndarray(Float64Array.of(0.5, -0.3));
const xs = ndarray(
  Float64Array.from({ length: 12 }, (_, i) => Math.sin(i)),
  [6, 2],
);

test("gradients can be differentiated again", () => {
  const first = (x: Tensor) => sum(grad((x: Tensor) => sum(mul(sin(x), x)))(x));
  // d²(x sin x) = 2 cos x − x sin x
  expectClose(
    run(grad(first), w)[0]!,
    [0.5, -0.3].map((x) => 2 * Math.cos(x) - x * Math.sin(x)),
  );
});

test("stopGradient makes a value constant", () => {
  expectClose(
    run(
      grad((x: Tensor) => sum(mul(x, stopGradient(x)))),
      w,
    )[0]!,
    [0.5, -0.3],
  );
});

test("a parameter that is not used gets zeros, one that is used twice gets both parts", () => {
  const loss = ({ a }: { a: Tensor; b: Tensor }) => sum(add(mul(a, a), a));
  const [a, b] = run((a, b) => grad(loss)({ a: a!, b: b! }), w, xs);
  expectClose(a!, [2, 0.4]);
  expectClose(b!, new Array(12).fill(0));
});

test("the loss must be a float scalar", () => {
  expect(() =>
    run(
      grad((x: Tensor) => x),
      w,
    ),
  ).toThrow("grad: the loss must be a float scalar, got float64[2]");
});

const recurrence = (w: Tensor, xs: Tensor) => {
  const start = mul(sum(xs, { axes: 0 }), 0.1);
  const [last, ys] = scan(
    (c: Tensor, x: Tensor) => {
      const next = tanh(add(mul(c, w), x));
      return [next, mul(next, next)] as const;
    },
    start,
    xs,
  );
  return add(sum(last), sum(mul(ys, xs)));
};

for (const reverse of [false, true]) {
  test(`scan: values and gradients, ${reverse ? "last to first" : "first to last"}`, async () => {
    const fn = (w: Tensor, xs: Tensor) => {
      const [last, ys] = scan(
        (c: Tensor, x: Tensor) => [tanh(add(mul(c, w), x)), mul(c, x)] as const,
        mul(w, 0.1),
        xs,
        { reverse },
      );
      return add(sum(last), sum(mul(ys, xs)));
    };
    const both = (w: Tensor, xs: Tensor) => valueAndGrad((w: Tensor, xs: Tensor) => fn(w, xs))(w, xs);
    const [, dw] = run(both as (...inputs: Tensor[]) => unknown, w, xs);
    expectClose(dw!, differences(fn as (...inputs: Tensor[]) => Tensor, w, xs));
  });
}

test("scan: gradients of the sequence, and the ONNX Scan node agrees with the reference", async () => {
  const both = (w: Tensor, xs: Tensor) =>
    valueAndGrad(({ w, xs }: { w: Tensor; xs: Tensor }) => recurrence(w, xs))({ w, xs });
  const [value, dw, dxs] = run(both as (...inputs: Tensor[]) => unknown, w, xs);
  expectClose(dw!, differences(recurrence as (...inputs: Tensor[]) => Tensor, w, xs));
  const turned = (xs: Tensor, w: Tensor) => recurrence(w, xs);
  expectClose(dxs!, differences(turned as (...inputs: Tensor[]) => Tensor, xs, w));
  const { program } = traceBody([w, xs], ([w, xs]) => both(w!, xs!));
  expect(toOnnx(program).graph.nodes.some(({ op }) => op === "Scan")).toBe(true);
  const out = await readTree(await compile(both, { device: await openCpu() })(w, xs));
  expectClose([out.value.item()], value!);
  expectClose(out.gradient.w.toNumbers(), dw!);
  expectClose(out.gradient.xs.toNumbers(), dxs!);
});

test("loop repeats; short ones are written out and agree", async () => {
  const device = await openCpu();
  for (const count of [1, 3, 20]) {
    const fn = (x: Tensor) => loop(count, (c: Tensor) => mul(tanh(c), 1.1), x);
    const out = await readTree(await compile(fn, { device })(w));
    expectClose(out.toNumbers(), run(fn, w)[0]!);
  }
});

test("a carry is an object whose keys may come in any order, but must be those of the first one", () => {
  const swap = ({ a, b }: { a: Tensor; b: Tensor }) => [{ b: mul(b, 2), a: mul(a, 3) }, []] as const;
  const [a, b] = run((x) => scan(swap, { a: x!, b: x! }, [], { length: 3 })[0], w);
  expect([a, b]).toEqual([w.toNumbers().map((x) => 27 * x), w.toNumbers().map((x) => 8 * x)]);
  const other = (x: Tensor) => scan((c: object) => [{ ...c, c: x }, []] as const, { a: x }, [], { length: 3 })[0];
  expect(() => run((x) => other(x!), w)).toThrow("scan: a step must return a carry like the first one, got one with c");
});

test("a carry that changes its type is refused", () => {
  expect(() => run((x) => loop(3, () => full2(x!), x!), w)).toThrow(
    /scan: carry 0 starts as float64\[2\] and comes out of a step as float64\[\]/,
  );
});

const full2 = (x: Tensor) => sum(x);

test("recompute gives the same gradients and computes the forward part twice", async () => {
  const part = (x: Tensor, w: Tensor) => exp(matmul(x, w));
  const plain = (w: Tensor, x: Tensor) => grad((w: Tensor) => sum(sin(part(x, w))))(w);
  const forgetting = (w: Tensor, x: Tensor) => grad((w: Tensor) => sum(sin(recompute(part)(x, w))))(w);
  const [m, x] = [ndarray(Float64Array.of(0.1, 0.2, 0.3, 0.4), [2, 2]), xs];
  expectClose(
    run(forgetting as (...inputs: Tensor[]) => unknown, m, x)[0]!,
    run(plain as (...inputs: Tensor[]) => unknown, m, x)[0]!,
  );
  const count = (fn: typeof plain) => {
    const { program } = traceBody([m, x], ([m, x]) => fn(m!, x!));
    return toOnnx(program).graph.nodes.filter(({ op }) => op === "Exp").length;
  };
  expect(count(plain)).toBe(1);
  expect(count(forgetting)).toBe(2);
  const out = await readTree(await compile(forgetting, { device: await openCpu() })(m, x));
  expectClose(out.toNumbers(), run(plain as (...inputs: Tensor[]) => unknown, m, x)[0]!);
});

test("recomputeEach gives the same gradients, of what the parts share too, one part after the other", async () => {
  const part = (x: Tensor, w: Tensor) => exp(matmul(x, w));
  const loss = (each: (x: Tensor, w: Tensor) => Tensor) => (w: Tensor, x: Tensor) =>
    grad(([w, x]: [Tensor, Tensor]) => sum(sin(each(x, w))))([w, x]);
  const plain = loss((x, w) =>
    concat(
      [0.5, 2, 3].map((k) => part(mul(x, k), w)),
      0,
    ),
  );
  const ordered = loss((x, w) =>
    concat(recomputeEach([0.5, 2, 3].map((k) => ({ x: mul(x, k), fn: (x: Tensor) => [part(x, w)] }))).flat(), 0),
  );
  const [m, x] = [ndarray(Float64Array.of(0.1, 0.2, 0.3, 0.4), [2, 2]), xs];
  const both = (fn: typeof plain) => run(fn as (...inputs: Tensor[]) => unknown, m, x).flat();
  expectClose(both(ordered), both(plain));
  const { program } = traceBody([m, x], ([m, x]) => ordered(m!, x!));
  const { nodes } = toOnnx(program).graph;
  expect(nodes.filter(({ op }) => op === "Exp").length).toBe(6);
  const out = await readTree(await compile(ordered, { device: await openCpu() })(m, x));
  expectClose(
    out.flatMap((array) => array.toNumbers()),
    both(plain),
  );
});

test("customGradient uses the rule, which may be wrong on purpose", () => {
  const straightThrough = customGradient({
    forward: (x) => [stopGradient(x!), mul(x!, x!)],
    backward: ({ inputs: [x], outputs: [, square], cotangents: [dy] }) => [mul(dy!, add(x!, square!))],
  });
  expectClose(
    run(
      grad((x: Tensor) => sum(straightThrough(x)[0]!)),
      w,
    )[0]!,
    [0.75, -0.21],
  );
  const wrong = customGradient({ forward: (x) => [x!], backward: () => [sum(mul(1, 1))] });
  expect(() =>
    run(
      grad((x: Tensor) => sum(wrong(x)[0]!)),
      w,
    ),
  ).toThrow(/customGradient: the gradient of input 0 is/);
});

test("programs print like the mathematics", () => {
  const { program } = traceBody([w], ([x]) => mul(sin(x!), 2));
  expect(String(program)).toBe(
    [
      "(a: float64[2]) {",
      "  b: float64[2] = sin a",
      "  c: float64[] = constant {value: 2}",
      "  d: float64[2] = mul b c",
      "  return d",
      "}",
    ].join("\n"),
  );
});
