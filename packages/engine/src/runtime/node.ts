import type { InferenceSession } from "onnxruntime-node";
import type { Device } from "./device.ts";
import { gpuDevice } from "./gpu-device.ts";
import { hostDevice } from "./host-device.ts";
import { requireAvailable } from "./node-availability.ts";
import type { NodeDeviceName, NodeDeviceOptions } from "./node-options.ts";
import { loadRuntime } from "./node-runtime.ts";
import { openInWorker } from "./node-worker-device.ts";
import { configurationOf, requireThreads } from "./ort.ts";
import { serial } from "./serial.ts";

export type { NodeDeviceName, NodeDeviceOptions } from "./node-options.ts";
export { disableTelemetry } from "./node-runtime.ts";
export { ortVersion } from "./ort.ts";

const openers: Readonly<Record<NodeDeviceName, (options?: NodeDeviceOptions) => Promise<Device>>> = {
  cpu: openCpu,
  webgpu: openWebGpu,
  cuda: openCuda,
};

/**
 * Opens a device by its name.
 *
 * @throws Error when the name is not one of cpu, webgpu, cuda, or the device is not available; it says what was tried and how to get it
 */
export async function openDevice(name: NodeDeviceName, options: NodeDeviceOptions = {}): Promise<Device> {
  if (!Object.hasOwn(openers, name))
    throw new Error(`openDevice: expected one of ${Object.keys(openers).join(", ")}, got "${name}"`);
  return openers[name](options);
}

/**
 * Opens the CPU of this machine.
 *
 * Arrays share memory with ONNX Runtime and are never copied. A run blocks the JavaScript thread until it is done, except with
 * `worker`.
 */
export async function openCpu(options: NodeDeviceOptions = {}): Promise<Device> {
  if (options.worker) return openInWorker("cpu", options);
  return hostDevice("cpu", {
    ort: await loadRuntime(),
    inOrder: serial(),
    writesInto: true,
    sessionOptions: sessionOptions("cpu", options),
  });
}

/**
 * Opens the GPU through WebGPU, which is part of onnxruntime-node (Vulkan on Linux, Metal on macOS, Direct3D on Windows).
 * Results stay on the GPU until they are read. Operators without a WebGPU kernel run on the CPU.
 *
 * @throws Error when there is no adapter
 */
export async function openWebGpu(options: NodeDeviceOptions = {}): Promise<Device> {
  if (options.worker) return openInWorker("webgpu", options);
  const ort = await loadRuntime();
  await requireAvailable("webgpu", ort);
  return gpuDevice("webgpu", { ort, inOrder: serial(), sessionOptions: sessionOptions("webgpu", options) });
}

/**
 * Opens an NVIDIA GPU. onnxruntime-node does not support arrays in CUDA memory: inputs and results of every run are copied through
 * JavaScript's memory.
 *
 * @throws Error when ONNX Runtime's CUDA libraries are not installed or find no GPU
 */
export async function openCuda(options: NodeDeviceOptions = {}): Promise<Device> {
  if (options.worker) return openInWorker("cuda", options);
  const ort = await loadRuntime();
  await requireAvailable("cuda", ort);
  return hostDevice("cuda", {
    ort,
    inOrder: serial(),
    writesInto: true,
    sessionOptions: sessionOptions("cuda", options),
  });
}

function sessionOptions(
  name: NodeDeviceName,
  { threads, profilePrefix }: NodeDeviceOptions,
): InferenceSession.SessionOptions {
  if (threads !== undefined) requireThreads(threads);
  return {
    executionProviders: [name],
    enableMemPattern: false,
    // Otherwise every session warns that shapes are computed on the CPU, which is intended.
    ...(name === "cpu" ? {} : { logSeverityLevel: 3 }),
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    extra: configurationOf(name),
  };
}
