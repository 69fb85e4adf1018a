import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { add, compile, type Device, matmul, mul, ndarray, readTree, type Tensor } from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

const x = ndarray([1, 2, 3]);
const double = (x: Tensor) => mul(x, 2);

describe.each([{ worker: false }, { worker: true }])("openCpu(%j)", (options) => {
  let device: Device;
  beforeAll(async () => {
    device = await openCpu(options);
  });
  afterAll(() => device.close());

  test("an array that was disposed of is neither read nor computed with", async () => {
    const compiled = compile(double, { device });
    const result = await compiled(x);
    result.dispose();
    result.dispose();
    await expect(result.read()).rejects.toThrow(/expected a living array/);
    await expect(compiled(result)).rejects.toThrow(/expected a living array/);
  });

  test("an array of another device is refused, not mistaken for one's own", async () => {
    const other = await openCpu(options);
    const theirs = await compile(double, { device: other })(x);
    await expect(compile(double, { device })(theirs)).rejects.toThrow(
      "cpu: expected an array of this device, got a float32[3] of another, cpu; read() it and hand that over",
    );
    await other.close();
  });

  test("a donated array that a later result has overwritten is not read", async () => {
    const next = compile((x: Tensor) => add(x, 1), { device, donate: [0] });
    const first = await next(ndarray([0]));
    let last = first;
    for (let i = 0; i < 3; i++) last = await next(last);
    expect((await last.read()).toNumbers()).toEqual([4]);
    await expect(first.read()).rejects.toThrow(
      "cpu: expected a living array, got a float32[1] that was disposed of or donated",
    );
  });

  test("a donated array that is handed in once more is not written to while it is read", async () => {
    const swap = ndarray([
      [0, 1],
      [1, 0],
    ]);
    const swapped = compile((x: Tensor) => matmul(x, swap), { device, donate: [0] });
    const start = device.put(ndarray([[1, 2]]));
    for (let i = 0; i < 3; i++) expect((await (await swapped(start)).read()).toNumbers()).toEqual([2, 1]);
  });

  test("an array donated twice over becomes one result, not two", async () => {
    const pair = compile((a: Tensor, b: Tensor) => [add(a, 1), mul(b, 10)] as const, { device, donate: [0, 1] });
    const start = device.put(ndarray([1]));
    await pair(start, start);
    const [a, b] = await readTree(await pair(ndarray([2]), ndarray([3])));
    expect([a.item(), b.item()]).toEqual([3, 30]);
  });

  test("a closed device takes no work, and may be closed again", async () => {
    const own = await openCpu(options);
    const compiled = compile(double, { device: own });
    await compiled(x);
    await own.close();
    await own.close();
    await compiled.release();
    await expect(compiled(x)).rejects.toThrow("cpu: the device was closed; open it again");
    await expect(compile(double, { device: own })(x)).rejects.toThrow("cpu: the device was closed; open it again");
  });
});

test.each([0, -1, 1.5, Number.NaN])("%d is no number of threads", async (threads) => {
  await expect(openCpu({ threads })).rejects.toThrow(`threads: expected a positive integer, got ${threads}`);
});

describe("what is no traced function", () => {
  let device: Device;
  beforeAll(async () => {
    device = await openCpu();
  });
  const call = (fn: (x: never) => unknown) => compile(fn as (x: Tensor) => Tensor, { device })(x);

  test.each<[string, (x: never) => unknown, string]>([
    ["async", async (x: Tensor) => mul(x, 2), "got a promise: is an `await` missing, or a traced function async?"],
    [
      "returns nothing",
      () => undefined,
      "compile: expected the function to return a tensor or a tree of tensors, got undefined",
    ],
    ["returns a number", () => 5, "got 5"],
    ["returns an array", () => x, "got an object of NDArray"],
    [
      "computes with operators",
      (x: number) => x * 2,
      "JavaScript operators do not work on tensors, here float32[3]; use add, mul",
    ],
    [
      "takes a list",
      (x: Tensor) => mul(x, [1, 2, 3] as never),
      "expected a tensor, an array or a number, got a list; `ndarray` makes",
    ],
    ["takes nothing", () => mul(undefined as never, 2), "expected a tensor, an array or a number, got undefined"],
    [
      "takes an array of the device",
      (x: Tensor) => mul(x, device.put(ndarray([1])) as never),
      "got an array on a device; make it an argument",
    ],
  ])("%s", async (_, fn, message) => {
    await expect(call(fn)).rejects.toThrow(message);
  });

  test("a device that is not open yet", () => {
    expect(() => compile(double, { device: openCpu() as never })).toThrow(
      "compile: expected an open device, got a promise: is an `await` missing",
    );
  });

  test("a tensor may be written into a text", async () => {
    await call((x: Tensor) => {
      expect(`${x}`).toBe("float32[3]");
      return mul(x, 1);
    });
  });
});
