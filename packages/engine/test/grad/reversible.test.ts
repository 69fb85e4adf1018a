import { expect, test } from "vitest";
import {
  add,
  argmax,
  bernoulli,
  cast,
  compile,
  expandDims,
  foldKey,
  fromNumbers,
  grad,
  interpret,
  kept,
  matmul,
  mul,
  type NDArray,
  normal,
  type ReversibleResult,
  type ReversibleStep,
  randomKey,
  readTree,
  reversibleSteps,
  sin,
  sum,
  type Tensor,
  tanh,
  toOnnx,
  traceBody,
  where,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

/** The same steps without the trick. */
function plain(streams: readonly [Tensor, Tensor], steps: readonly ReversibleStep[]): ReversibleResult {
  const now: [Tensor, Tensor] = [...streams];
  const others = steps.map((step, i) => {
    const [added, ...rest] = step(now[1 - (i % 2)]!);
    now[i % 2] = add(now[i % 2]!, added);
    return rest;
  });
  return { streams: now, others };
}

const x = normal(randomKey(1), [3, 4]);
const w = normal(randomKey(2), [4, 4], { deviation: 0.5 });
const shared = normal(randomKey(3), [4, 4], { deviation: 0.5 });
const key = fromNumbers([7, 9], [2], "int32");

function expectClose(actual: readonly number[], expected: readonly number[], digits: number): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, digits);
}

/** Five steps that share a matrix, draw masks, read the embedding again, and give a further result. */
const steps = (x: Tensor, w: Tensor, shared: Tensor, key: Tensor): ReversibleStep[] =>
  [0.5, 1, 1.5, 2, 2.5].map((factor, i) => (stream) => {
    const hidden = tanh(matmul(mul(stream, factor), i % 2 === 0 ? shared : w));
    const mixed = where(bernoulli(foldKey(key, i), 0.7, hidden.shape), hidden, 0);
    return i === 2 ? [add(mixed, sin(x)), sum(mul(hidden, hidden))] : [mixed];
  });

type Way = typeof plain;
type Given = readonly [x: Tensor, w: Tensor, shared: Tensor];

const slopes = (way: Way) => (x: Tensor, w: Tensor, shared: Tensor, key: Tensor) =>
  grad(([x, w, shared]: Given) => {
    const { streams, others } = way([x, x], steps(x, w, shared, key));
    return add(sum(mul(sin(streams[0]), streams[1])), others[2]![0]!);
  })([x, w, shared]);

function run(fn: (...inputs: Tensor[]) => unknown, ...inputs: NDArray[]): number[] {
  const { program } = traceBody(inputs, (tensors) => fn(...tensors));
  return interpret(program, inputs).flatMap((array) => array.toNumbers());
}

test("values and gradients are those of the steps without the trick, masks and shared tensors included", async () => {
  const values = (way: Way) => (x: Tensor, w: Tensor, shared: Tensor, key: Tensor) =>
    way([x, x], steps(x, w, shared, key)).streams;
  expect(run(values(reversibleSteps) as never, x, w, shared, key)).toEqual(
    run(values(plain) as never, x, w, shared, key),
  );
  const expected = run(slopes(plain) as never, x, w, shared, key);
  // float64: what is lost by adding and subtracting
  expectClose(run(slopes(reversibleSteps) as never, x, w, shared, key), expected, 12);
  const device = await openCpu();
  const out = await readTree(await compile(slopes(reversibleSteps), { device })(x, w, shared, key));
  // float32
  expectClose(
    out.flatMap((array) => array.toNumbers()),
    expected,
    4,
  );
  await device.close();
});

test("a loss that reads one stream, or a further result only, has its gradients", () => {
  for (const pick of [
    ({ streams }: ReversibleResult) => sum(sin(streams[0])),
    ({ streams }: ReversibleResult) => sum(sin(streams[1])),
    ({ others }: ReversibleResult) => others[2]![0]!,
  ]) {
    const some = (way: Way) => (x: Tensor, w: Tensor, shared: Tensor, key: Tensor) =>
      grad(([x, w, shared]: Given) => pick(way([x, x], steps(x, w, shared, key))))([x, w, shared]);
    const expected = run(some(plain) as never, x, w, shared, key);
    expectClose(run(some(reversibleSteps) as never, x, w, shared, key), expected, 12);
  }
});

test("what a step keeps is computed once, the rest twice", () => {
  const choose: ReversibleStep = (stream) => {
    const best = kept(argmax(stream));
    return [mul(sin(stream), cast(expandDims(best, -1), "float32"))];
  };
  const loss = (way: Way) => (x: Tensor) =>
    grad((x: Tensor) => sum(way([x, x], [choose, choose, choose]).streams[0]))(x);
  const expected = run(loss(plain) as never, x);
  expectClose(run(loss(reversibleSteps) as never, x), expected, 12);
  const { program } = traceBody([x], ([x]) => loss(reversibleSteps)(x!));
  const { nodes } = toOnnx(program).graph;
  const count = (name: string) => nodes.filter(({ op }) => op === name).length;
  // the first step is not undone: nobody reads what was before it
  expect([count("ArgMax"), count("Sin")]).toEqual([3, 5]);
});

test("a step that adds something of another shape is refused", () => {
  expect(() => run(((x: Tensor) => reversibleSteps([x, x], [(stream) => [sum(stream)]]).streams) as never, x)).toThrow(
    /reversibleSteps: step 0 adds float32\[\] to a stream float32\[3, 4\]/,
  );
});
