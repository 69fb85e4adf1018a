import type { Device } from "./device.ts";
import { gpuDevice } from "./gpu-device.ts";
import { hostDevice } from "./host-device.ts";
import { configurationOf, type Ort, ortVersion, requireThreads } from "./ort.ts";
import { serial } from "./serial.ts";

export type WebDeviceOptions = {
  /**
   * Where onnxruntime-web finds its `.wasm` file: the URL of a folder, ending in `/`, or of each file. Default: beside
   * its own script; bundlers that support `new URL(…, import.meta.url)` arrange this automatically.
   */
  readonly wasmPaths?: string | { readonly wasm?: string | URL; readonly mjs?: string | URL };
  /**
   * Threads of the CPU part. Default: all cores, at most eight. Needs a cross-origin isolated page (headers
   * `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`); otherwise there is one thread.
   * The first device that a page opens determines the number.
   */
  readonly threads?: number;
};

type OrtWeb = Ort & Pick<typeof import("onnxruntime-web"), "env">;

/** All sessions of a page share one WebAssembly module per bundle, which rejects a second `run` during one. */
const inOrder = serial();

/** The devices of the browser. */
export type WebDeviceName = "wasm" | "webgpu";

/**
 * Opens a device by its name.
 * @throws Error when the name is neither wasm nor webgpu, or the device is not available; it says what was tried and how to get it
 */
export async function openDevice(name: WebDeviceName, options: WebDeviceOptions = {}): Promise<Device> {
  if (name === "wasm") return openWasm(options);
  if (name === "webgpu") return openWebGpu(options);
  throw new Error(`openDevice: expected one of wasm, webgpu, got "${name}"`);
}

/**
 * Opens the CPU of the browser. A run blocks the thread until it is done: use a web worker if the page must stay responsive.
 * Arrays are in JavaScript's memory; each run copies them to WebAssembly's memory and back.
 *
 * @throws Error with instructions when onnxruntime-web is missing
 */
export async function openWasm(options: WebDeviceOptions = {}): Promise<Device> {
  const ort = await loaded(import("onnxruntime-web/wasm"));
  configure(ort, options);
  return hostDevice("wasm", { ort, inOrder, writesInto: false, sessionOptions: sessionOptions("wasm") });
}

/**
 * Opens the GPU of the browser. Results stay in GPU buffers until they are read; operators without a WebGPU kernel run
 * in WebAssembly.
 *
 * @throws Error when the browser has no WebGPU or finds no adapter; with instructions when onnxruntime-web is missing
 */
export async function openWebGpu(options: WebDeviceOptions = {}): Promise<Device> {
  await requireAdapter();
  const ort = await loaded(import("onnxruntime-web/webgpu"));
  configure(ort, options);
  return gpuDevice("webgpu", { ort, inOrder, sessionOptions: sessionOptions("webgpu") });
}

async function loaded(runtime: Promise<OrtWeb>): Promise<OrtWeb> {
  try {
    return await runtime;
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `the devices of the browser run on ONNX Runtime, which did not load (${said}); if it is not installed: npm install onnxruntime-web@${ortVersion}`,
      { cause },
    );
  }
}

function sessionOptions(provider: WebDeviceName): Parameters<Ort["InferenceSession"]["create"]>[1] & object {
  return {
    executionProviders: [provider],
    enableMemPattern: false,
    // Otherwise every session warns that shapes are computed on the CPU, which is intended.
    logSeverityLevel: 3,
    extra: configurationOf(provider),
  };
}

function configure({ env }: OrtWeb, { wasmPaths, threads }: WebDeviceOptions): void {
  if (wasmPaths !== undefined) env.wasm.wasmPaths = wasmPaths as NonNullable<typeof env.wasm.wasmPaths>;
  if (threads !== undefined) requireThreads(threads);
  env.wasm.numThreads = globalThis.crossOriginIsolated ? (threads ?? Math.min(navigator.hardwareConcurrency, 8)) : 1;
}

type Gpu = { requestAdapter(): Promise<object | null> };

async function requireAdapter(): Promise<void> {
  const gpu = (globalThis.navigator as { readonly gpu?: Gpu } | undefined)?.gpu;
  if (gpu === undefined) {
    const reason =
      globalThis.isSecureContext === false
        ? "the page is not a secure context (https or localhost)"
        : "there is none here";
    throw new Error(
      `webgpu: navigator.gpu is missing: ${reason}. Current Chrome, Edge, Firefox and Safari have it; openWasm works everywhere`,
    );
  }
  if ((await gpu.requestAdapter()) === null) {
    throw new Error(
      "webgpu: navigator.gpu.requestAdapter() found no adapter: the GPU or its driver is not supported (see chrome://gpu); openWasm works everywhere",
    );
  }
}
