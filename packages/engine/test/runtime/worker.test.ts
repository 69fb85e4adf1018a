import { afterAll, expect, test } from "vitest";
import {
  compile,
  type Device,
  type DeviceArray,
  fromNumbers,
  full,
  matmul,
  mean,
  mul,
  normal,
  putTree,
  randomKey,
  scatterSet,
  square,
  sub,
  type Tensor,
  type TypedArray,
  valueAndGrad,
} from "../../src/index.ts";
import { openCpu, openDevice } from "../../src/runtime/node.ts";

// The thread runs the built file dist/runtime/node-worker.js: `npm run build` makes it.
const here = await openCpu();
const there = await openCpu({ worker: true });
afterAll(() => Promise.all([here.close(), there.close()]));

function step(w: Tensor, x: Tensor): { w: Tensor; loss: Tensor } {
  const { value, gradient } = valueAndGrad((w: Tensor, x: Tensor) => mean(square(sub(matmul(x, w), x))))(w, x);
  return { w: sub(w, gradient), loss: value };
}

async function train(device: Device): Promise<{ losses: number[]; w: TypedArray }> {
  const compiled = compile(step, { device, donate: [0] });
  const x = normal(randomKey(2), [16, 8]);
  const losses: number[] = [];
  let state = await compiled(normal(randomKey(1), [8, 8]), x);
  for (let i = 0; i < 10; i++) {
    losses.push((await state.loss.read()).item());
    state = await compiled(state.w, x);
  }
  await compiled.release();
  return { losses, w: (await state.w.read()).data };
}

test("a worker gives the same bytes as this thread", async () => {
  expect(await train(there)).toEqual(await train(here));
});

test("rows of a donated array are written there, too, and the array that was given up can be let go", async () => {
  const run = async (device: Device) => {
    const write = compile((rows: Tensor, x: Tensor, at: Tensor) => ({ rows: scatterSet(rows, at, x) }), {
      device,
      donate: [0],
    });
    let rows = device.put(normal(randomKey(3), [6, 2]));
    for (let i = 0; i < 3; i++) {
      const before = rows;
      ({ rows } = await write(rows, normal(randomKey(i), [1, 2]), fromNumbers([2 * i], [1], "int32")));
      before.dispose();
    }
    await write.release();
    return rows.read();
  };
  expect(await run(there)).toEqual(await run(here));
});

test("arrays that were put or read stay as they are", async () => {
  const x = normal(randomKey(6), [64]);
  const before = x.toNumbers();
  const put = putTree({ x }, there).x as unknown as DeviceArray;
  const first = await put.read();
  expect([x.toNumbers(), first.toNumbers(), (await put.read()).toNumbers()]).toEqual([before, before, before]);
});

test("a program that was asked for is not traced again for the run", async () => {
  let traces = 0;
  const double = compile(
    (x: Tensor) => {
      traces++;
      return mul(x, 2);
    },
    { device: here },
  );
  const program = double.trace(full([1e6, 1e6], 1));
  expect(program.outputs[0]!.shape).toEqual([1e6, 1e6]);
  const x = normal(randomKey(7), [3]);
  double.trace(x);
  await double(x);
  expect(traces).toBe(2);
});

/** Ticks of a timer while twenty large matrix products run, about half a second. */
async function ticksDuringRun(device: Device): Promise<number> {
  const chain = compile((x: Tensor) => Array.from({ length: 20 }).reduce<Tensor>((y) => mul(matmul(y, x), 0.03), x), {
    device,
  });
  const x = device.put(normal(randomKey(3), [1024, 1024]));
  await chain.prepare(x);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);
  await chain(x);
  clearInterval(timer);
  await chain.release();
  return ticks;
}

test("timers go on during a run in a worker, and wait for a run in this thread", async () => {
  expect(await ticksDuringRun(there)).toBeGreaterThanOrEqual(5);
  expect(await ticksDuringRun(here)).toBeLessThanOrEqual(1);
});

test("runs happen in the order in which they were asked for", async () => {
  const double = compile((x: Tensor) => mul(x, 2), { device: there });
  const first = double(normal(randomKey(4), [4]));
  const second = first.then((x) => double(x));
  const read = (await second).read();
  (await second).dispose();
  const expected = Array.from(normal(randomKey(4), [4]).toNumbers(), (x) => 4 * x);
  expect((await read).toNumbers()).toEqual(expected);
});

test("errors of the worker reach the caller", async () => {
  const array = there.put(normal(randomKey(5), [3]));
  array.dispose();
  await expect(array.read()).rejects.toThrow(/was disposed of/);
  const broken = { op: "NoSuchOperator", domain: "", inputs: ["x"], outputs: ["y"], attributes: {} };
  const value = { dtype: "float32" as const, shape: [1] };
  const graph = {
    name: "g",
    nodes: [broken],
    initializers: [],
    inputs: [{ name: "x", ...value }],
    outputs: [{ name: "y", ...value }],
  };
  await expect(there.load({ irVersion: 10, opsets: { "": 20 }, producer: "test", graph })).rejects.toThrow(
    /NoSuchOperator/,
  );
});

test("a device that is closed says so", async () => {
  const device = await openDevice("cpu", { worker: true });
  const array = device.put(normal(randomKey(6), [2]));
  await device.close();
  await expect(array.read()).rejects.toThrow("cpu: the device was closed; open it again");
});
