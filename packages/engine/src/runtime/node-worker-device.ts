import { Worker } from "node:worker_threads";
import { NDArray } from "../array/nd-array.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { Device, DeviceArray, Executable } from "./device.ts";
import type { NodeDeviceName, NodeDeviceOptions } from "./node-options.ts";
import { disableTelemetry } from "./node-runtime.ts";
import type { Order, Plain, Reply, Request, WorkerStart } from "./node-worker-protocol.ts";
import { ownArray } from "./own-array.ts";
import type { RowWrite } from "./row-writes.ts";
import { closedError } from "./serial.ts";

type Waiting = { readonly resolve: (value: Plain | undefined) => void; readonly reject: (error: Error) => void };
type WorkerArray = DeviceArray & { readonly number: number };

/**
 * A device of Node in a worker thread. Here its arrays are only numbers; their data stay in the worker, because
 * onnxruntime-node 1.30 does not accept memory shared by two threads.
 */
export async function openInWorker(name: NodeDeviceName, options: NodeDeviceOptions): Promise<Device> {
  const { ask, tell, gone } = await start({ name, options: { ...options, worker: false } });
  let next = 0;
  let closed = false;
  const unreachable = new FinalizationRegistry<number>((array) => tell({ kind: "dispose", array }));
  const hold = ({ shape, dtype }: ArrayType, number: number): WorkerArray => {
    const array: WorkerArray = {
      shape,
      dtype,
      device,
      number,
      read: async () => new NDArray(shape, dtype, (await ask({ kind: "read", array: number }))!.data),
      dispose: () => tell({ kind: "dispose", array: number }),
    };
    unreachable.register(array, number);
    return array;
  };
  const numberOf = (array: DeviceArray): number => ownArray<WorkerArray>(device, array).number;
  const load = async (model: OnnxModel, writes: readonly RowWrite[] = []): Promise<Executable> => {
    const executable = next++;
    await ask({ kind: "load", executable, model, writes });
    const { inputs, outputs } = model.graph as unknown as Record<"inputs" | "outputs", readonly ArrayType[]>;
    const written = new Map(writes.map(({ output, input }) => [output, inputs[input]!]));
    const types = outputs.slice(0, outputs.length - writes.length).map((type, i) => written.get(i) ?? type);
    return {
      run: async (inputs, into) => {
        const results = types.map((type) => hold(type, next++));
        const numbers = results.map(({ number }) => number);
        await ask({
          kind: "run",
          executable,
          inputs: inputs.map(numberOf),
          into: into.map((array) => array && numberOf(array)),
          results: numbers,
        });
        return results;
      },
      release: async () => void (closed || (await ask({ kind: "release", executable }))),
    };
  };
  const device: Device = {
    name,
    sharesMemory: false,
    writesRows: name !== "webgpu",
    load,
    put: ({ shape, dtype, data }) => {
      const array = hold({ shape, dtype }, next++);
      // A copy whose memory is transferred: structured cloning would copy as well.
      const copy = data.slice();
      tell({ kind: "put", array: array.number, value: { shape, dtype, data: copy } }, [copy.buffer as ArrayBuffer]);
      return array;
    },
    allocate: (type) => {
      const array = hold(type, next++);
      tell({ kind: "allocate", array: array.number, type: { shape: type.shape, dtype: type.dtype } });
      return array;
    },
    close: async () => {
      if (!closed) {
        closed = true;
        await ask({ kind: "close" });
      }
      await gone();
    },
  };
  return device;
}

type Post = {
  readonly ask: (order: Order) => Promise<Plain | undefined>;
  /** Sends an order that cannot fail. */
  readonly tell: (order: Order, handedOver?: readonly ArrayBuffer[]) => void;
  /** Waits for the end of the worker. */
  readonly gone: () => Promise<void>;
};

/** Starts the worker; it keeps the process alive only while an answer is pending. */
async function start(workerData: WorkerStart): Promise<Post> {
  const worker = startWorker(workerData);
  const waiting = new Map<number, Waiting>();
  let next = 0;
  let failure: Error | undefined;
  const settle = (id: number): Waiting | undefined => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
    return one;
  };
  const wait = (id: number) =>
    new Promise<Plain | undefined>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.ref();
    });
  const fail = (error: Error) => {
    failure ??= error;
    for (const id of [...waiting.keys()]) settle(id)?.reject(failure);
  };
  worker.on("message", ({ id, value, error }: Reply) => {
    const one = settle(id);
    if (error === undefined) one?.resolve(value);
    else one?.reject(error);
  });
  worker.on("error", fail);
  const ended = new Promise<void>((resolve) => {
    worker.on("exit", (code) => {
      const { name } = workerData;
      fail(
        code === 0
          ? closedError(name)
          : new Error(`${name}: the worker of the device has ended (exit code ${code}); open the device again`),
      );
      resolve();
    });
  });
  const send = (order: Order, handedOver: readonly ArrayBuffer[] = []): number => {
    const request: Request = { id: ++next, order };
    worker.postMessage(request, handedOver);
    return request.id;
  };
  await wait(0);
  return {
    ask: async (order) => {
      if (failure !== undefined) throw failure;
      return wait(send(order));
    },
    tell: (order, handedOver) => void (failure === undefined && send(order, handedOver)),
    gone: () => {
      worker.ref();
      return ended;
    },
  };
}

function startWorker(workerData: WorkerStart): Worker {
  disableTelemetry();
  // Worker threads reject the flag that `node --input-type=module --eval …` was started with.
  const options = { workerData, execArgv: process.execArgv.filter((flag) => !flag.startsWith("--input-type")) };
  // Run from sources by a test runner: Node 20 cannot start a thread from TypeScript, so the built file must exist.
  if (import.meta.url.endsWith(".ts"))
    return new Worker(new URL("../../dist/runtime/node-worker.js", import.meta.url), options);
  return new Worker(new URL("./node-worker.js", import.meta.url), options);
}
