import { parentPort, workerData } from "node:worker_threads";
import { NDArray } from "../array/nd-array.ts";
import type { Device, DeviceArray, Executable } from "./device.ts";
import { openDevice } from "./node.ts";
import type { Order, Plain, Reply, Request, WorkerStart } from "./node-worker-protocol.ts";
import { serial } from "./serial.ts";

// The program of the worker thread of node-worker-device.ts.

/** Returns a function that carries out orders on a device of this thread. */
function servant(device: Device): (order: Order) => Promise<Plain | undefined> {
  const arrays = new Map<number, DeviceArray>();
  const executables = new Map<number, Executable>();
  return async (order) => {
    switch (order.kind) {
      case "load":
        executables.set(order.executable, await device.load(order.model, order.writes));
        return undefined;
      case "put":
        arrays.set(order.array, device.put(new NDArray(order.value.shape, order.value.dtype, order.value.data)));
        return undefined;
      case "allocate":
        arrays.set(order.array, device.allocate(order.type));
        return undefined;
      case "run": {
        const into = order.into.map((number) => (number === undefined ? undefined : found(arrays, number)));
        const inputs = order.inputs.map((number) => found(arrays, number));
        const results = await found(executables, order.executable).run(inputs, into);
        results.forEach((result, i) => {
          arrays.set(order.results[i]!, result);
        });
        return undefined;
      }
      case "read": {
        // A copy whose memory the answer transfers: the array itself stays here.
        const { shape, dtype, data } = await found(arrays, order.array).read();
        return { shape, dtype, data: data.slice() };
      }
      case "dispose":
        arrays.get(order.array)?.dispose();
        arrays.delete(order.array);
        return undefined;
      case "release":
        await found(executables, order.executable).release();
        executables.delete(order.executable);
        return undefined;
      case "close":
        await device.close();
        return undefined;
    }
  };
}

function found<Value>(values: ReadonlyMap<number, Value>, number: number): Value {
  const value = values.get(number);
  if (value === undefined)
    throw new Error(
      "expected a living array or program, got one that was disposed of, released, or made by a run that failed",
    );
  return value;
}

async function serve(port: NonNullable<typeof parentPort>, { name, options }: WorkerStart): Promise<void> {
  const inOrder = serial();
  const reply = (message: Reply) =>
    port.postMessage(message, message.value === undefined ? [] : [message.value.data.buffer as ArrayBuffer]);
  const answer = async (id: number, work: () => Promise<Plain | undefined>) => {
    try {
      const value = await inOrder(work);
      reply(value === undefined ? { id } : { id, value });
    } catch (error) {
      reply({ id, error: error instanceof Error ? error : new Error(String(error)) });
    }
  };
  let carryOut: ReturnType<typeof servant> | undefined;
  await answer(0, async () => {
    carryOut = servant(await openDevice(name, options));
    return undefined;
  });
  if (carryOut === undefined) return port.close();
  const does = carryOut;
  port.on("message", ({ id, order }: Request) => {
    void answer(id, () => does(order)).then(() => order.kind === "close" && port.close());
  });
}

if (parentPort !== null) void serve(parentPort, workerData as WorkerStart);
