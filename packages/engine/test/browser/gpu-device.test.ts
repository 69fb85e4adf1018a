import { afterAll, beforeAll, expect, test } from "vitest";
import { add, compile, type Device, full, mul, sum, type Tensor } from "../../src/index.ts";
import { openWebGpu } from "../../src/runtime/node.ts";

let device: Device;
beforeAll(async () => {
  device = await openWebGpu();
});
afterAll(() => device?.close());

test("a result outlives the program that made it", async () => {
  const double = compile((x: Tensor) => mul(x, 2), { device });
  const result = await double(full([3], 1.5));
  await double.release();
  expect((await result.read()).toNumbers()).toEqual([3, 3, 3]);
  result.dispose();
});

test("an array put once feeds many runs", async () => {
  const total = compile((x: Tensor) => sum(x), { device });
  const x = device.put(full([5], 2));
  for (let i = 0; i < 3; i++) expect((await (await total(x)).read()).item()).toBe(10);
  expect((await x.read()).toNumbers()).toEqual([2, 2, 2, 2, 2]);
});

test("donated and disposed arrays cannot be used again", async () => {
  const increment = compile((x: Tensor) => add(x, 1), { device, donate: [0] });
  const first = device.put(full([2], 1));
  const second = await increment(first);
  await increment(second);
  await expect(increment(first)).rejects.toThrow(
    "webgpu: expected a living array, got a float32[2] that was disposed of or donated",
  );
  second.dispose();
  await expect(second.read()).rejects.toThrow(/expected a living array/);
});

test("memory does not grow while buffers are donated", async () => {
  const increment = compile((x: Tensor) => add(x, 1), { device, donate: [0] });
  const sizeBytes = 16 * 2 ** 20;
  let x = await increment(full([sizeBytes / 4], 0));
  for (let i = 0; i < 5; i++) x = await increment(x);
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 40; i++) x = await increment(x);
  // SwiftShader's memory is the process's own: without reuse these steps would add 640 MB.
  expect(process.memoryUsage.rss() - before).toBeLessThan(6 * sizeBytes);
  expect((await x.read()).data[0]).toBe(46);
});
