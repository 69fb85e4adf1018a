import type { NDArray } from "../array/nd-array.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";

/** Where programs run. `cpu`, `webgpu` and `cuda` in Node, `wasm` and `webgpu` in the browser. */
export type DeviceName = "cpu" | "cuda" | "webgpu" | "wasm";

/** An array that lives on a device. Read it with {@link DeviceArray.read}; handing it to a compiled function moves nothing. */
export interface DeviceArray extends ArrayType {
  readonly device: Device;
  /** A copy (on the CPU: the data itself) as a concrete array. Waits for the work that produces it. */
  read(): Promise<NDArray>;
  /** Frees the memory. The array must not be used afterwards. */
  dispose(): void;
}

/**
 * A place that runs programs. Guarantees:
 * - runs of one device happen in the order in which they were asked for;
 * - inputs are never written to, unless their buffers were donated;
 * - a result is whole when its promise resolves, or, on a GPU, when it is read.
 */
export interface Device {
  readonly name: DeviceName;
  /** Whether `put` shares memory with the array: what is written into it between runs is seen by the next run. */
  readonly sharesMemory: boolean;
  /** Prepares a model for running. @throws Error naming the operator that the device cannot run */
  load(model: OnnxModel): Promise<Executable>;
  /** Puts an array on the device. On the CPU nothing is copied. */
  put(array: NDArray): DeviceArray;
  /** Uninitialised memory for results. */
  allocate(type: ArrayType): DeviceArray;
  /** Frees sessions and memory. */
  close(): Promise<void>;
}

/** A model that is ready to run on its device. */
export interface Executable {
  /**
   * Runs once. Results are written into the arrays given in `into`; where there is none the device allocates.
   *
   * @returns one array per output
   */
  run(inputs: readonly DeviceArray[], into: readonly (DeviceArray | undefined)[]): Promise<DeviceArray[]>;
  release(): Promise<void>;
}

export function isDeviceArray(value: unknown): value is DeviceArray {
  return typeof value === "object" && value !== null && "device" in value && "read" in value && "shape" in value;
}
