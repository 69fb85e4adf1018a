import { expect, test } from "vitest";
import {
  add,
  compile,
  evaluate,
  fromNumbers,
  full,
  matmul,
  mean,
  mul,
  NDArray,
  ndarray,
  type OnDevice,
  putTree,
  readTree,
  reshape,
  scatterSet,
  square,
  sub,
  sum,
  type Tensor,
  tanh,
  valueAndGrad,
} from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

type Mlp = { w1: Tensor; b1: Tensor; w2: Tensor };

const start = {
  w1: ndarray([
    [0.1, 0.2, -0.3],
    [0.4, -0.5, 0.6],
  ]),
  b1: full([3], 0),
  w2: ndarray([[0.5], [-0.4], [0.3]]),
};
const x = ndarray([
  [1, 2],
  [3, 4],
  [-1, 0.5],
  [0, 1],
]);
const y = ndarray([[1], [0], [1], [0]]);

function loss({ w1, b1, w2 }: Mlp, x: Tensor, y: Tensor): Tensor {
  return mean(square(sub(matmul(tanh(add(matmul(x, w1), b1)), w2), y)));
}

function step(params: Mlp, x: Tensor, y: Tensor): { params: Mlp; loss: Tensor } {
  const { value, gradient } = valueAndGrad(loss)(params, x, y);
  const move = (w: Tensor, g: Tensor) => sub(w, mul(g, 0.1));
  const next = {
    w1: move(params.w1, gradient.w1),
    b1: move(params.b1, gradient.b1),
    w2: move(params.w2, gradient.w2),
  };
  return { params: next, loss: value };
}

test("a training step is one graph whose parameters stay where they are", async () => {
  const device = await openCpu();
  const compiled = compile(step, { device });
  let { params, loss: first } = await compiled(start, x, y);
  let last = first;
  for (let i = 0; i < 30; i++) ({ params, loss: last } = await compiled(params, x, y));
  expect((await last.read()).item()).toBeLessThan((await first.read()).item() * 0.8);
});

test("donated buffers are written to two calls later, and only they", async () => {
  const device = await openCpu();
  const plain = compile(step, { device });
  const donating = compile(step, { device, donate: [0] });
  const copy = (array: NDArray) => new NDArray(array.shape, array.dtype, array.data.slice());
  const given = { w1: copy(start.w1), b1: copy(start.b1), w2: copy(start.w2) };
  let kept = await plain(start, x, y);
  let donated = await donating(given, x, y);
  for (let i = 0; i < 5; i++) {
    kept = await plain(kept.params, x, y);
    donated = await donating(donated.params, x, y);
    expect((await readTree(donated)).params.w1.toNumbers()).toEqual((await readTree(kept)).params.w1.toNumbers());
  }
  expect(start.w1.toNumbers().map((n) => Math.round(n * 10))).toEqual([1, 2, -3, 4, -5, 6]);
  expect(given.w1.toNumbers()).not.toEqual(start.w1.toNumbers());
});

test("another shape is another trace; values that are no arrays are part of the signature", async () => {
  const device = await openCpu();
  let traces = 0;
  const scaled = compile(
    (x: Tensor, factor: number) => {
      traces++;
      return mul(sum(x), factor);
    },
    { device },
  );
  const run = async (x: NDArray, factor: number) => (await (await scaled(x, factor)).read()).item();
  expect(await run(ndarray([1, 2]), 2)).toBe(6);
  expect(await run(ndarray([3, 4]), 2)).toBe(14);
  expect(traces).toBe(1);
  expect(await run(ndarray([1, 2, 3]), 2)).toBe(12);
  expect(await run(ndarray([1, 2]), 3)).toBe(9);
  expect(traces).toBe(3);
});

test("inputs, constants and repeated values may be outputs", async () => {
  const device = await openCpu();
  const result = await evaluate((x: Tensor) => ({ x, again: x, two: add(mul(x, 0), 2) }), device, ndarray([1, 2]));
  expect(result.x.toNumbers()).toEqual([1, 2]);
  expect(result.again.toNumbers()).toEqual([1, 2]);
  expect(result.two.toNumbers()).toEqual([2, 2]);
});

test("array functions outside a traced function say what to do", () => {
  expect(() => add(1, 2)).toThrow(/inside traced functions only: wrap the code in compile/);
});

test("a tensor that leaks out of its trace is refused", async () => {
  const device = await openCpu();
  let leaked: Tensor | undefined;
  await evaluate(
    (x: Tensor) => {
      leaked = x;
      return add(x, 1);
    },
    device,
    ndarray([1]),
  );
  await expect(evaluate((x: Tensor) => add(x, leaked!), device, ndarray([1]))).rejects.toThrow(
    /another traced function/,
  );
});

test("rows of a donated array are written where they are, and the rest of it is not copied", async () => {
  const device = await openCpu();
  const append = (memory: { rows: Tensor; count: Tensor }, x: Tensor, at: Tensor) => ({
    memory: {
      rows: reshape(scatterSet(reshape(memory.rows, [8, 2]), at, x), [2, 4, 2]),
      count: add(memory.count, 1),
    },
    before: sum(memory.rows),
  });
  const plain = compile(append, { device });
  const donating = compile(append, { device, donate: [0] });
  const start = () => ({ rows: full([2, 4, 2], 1), count: full([], 0) });
  type Memory = OnDevice<{ rows: Tensor; count: Tensor }>;
  const begin = () => putTree(start(), device) as unknown as Memory;
  let [kept, donated] = [begin(), begin()];
  const { rows } = donated;
  for (let i = 0; i < 3; i++) {
    const x = ndarray([
      [i, 10],
      [20, i],
    ]);
    const at = fromNumbers([2 * i, -1 - 2 * i], [2], "int32");
    const expected = await readTree(await plain(kept, x, at));
    const found = await donating(donated, x, at);
    // Read before it is written.
    expect((await found.before.read()).item()).toBe(expected.before.item());
    expect(await readTree(found.memory)).toEqual(expected.memory);
    expect((await found.memory.rows.read()).data).toBe((await rows.read()).data);
    kept = putTree(expected.memory, device) as unknown as Memory;
    donated = found.memory;
  }
});

test("an array that two results replace rows of is written to once, and one that is not given up never", async () => {
  const device = await openCpu();
  const two = (a: Tensor, b: Tensor, x: Tensor, at: Tensor) =>
    [scatterSet(a, at, x), scatterSet(a, at, mul(x, 2)), scatterSet(b, at, x)] as const;
  const run = compile(two, { device, donate: [0] });
  const [a, b] = [full([3, 1], 0), full([3, 1], 0)].map((array) => device.put(array));
  const results = await readTree(await run(a!, b!, ndarray([[5]]), fromNumbers([1], [1], "int32")));
  expect(results.map((array) => array.toNumbers())).toEqual([
    [0, 5, 0],
    [0, 10, 0],
    [0, 5, 0],
  ]);
  expect((await b!.read()).toNumbers()).toEqual([0, 0, 0]);
});
