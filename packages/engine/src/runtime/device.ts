import type { NDArray } from "../array/nd-array.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { RowWrite } from "./row-writes.ts";

/** Where programs run. `cpu`, `webgpu` and `cuda` in Node, `wasm` and `webgpu` in the browser. */
export type DeviceName = "cpu" | "cuda" | "webgpu" | "wasm";

/** An array on a device. {@link DeviceArray.read} copies it back; passing it to a compiled function copies nothing. */
export interface DeviceArray extends ArrayType {
  readonly device: Device;
  /** A copy (on the CPU: the data itself) as a concrete array. Waits until it is computed. */
  read(): Promise<NDArray>;
  /** Frees the memory. The array must not be used afterwards. */
  dispose(): void;
}

/**
 * Runs programs. Guarantees:
 * - runs on one device happen in the order of the calls;
 * - inputs are never written to, except donated ones;
 * - a result is complete when its promise resolves or, on a GPU, when it is read.
 */
export interface Device {
  readonly name: DeviceName;
  /** Whether `put` shares memory with the array: changes made to it between runs are then seen by the next run. */
  readonly sharesMemory: boolean;
  /** Whether programs can be loaded with {@link RowWrite}s. */
  readonly writesRows: boolean;
  /**
   * Prepares a model for running.
   *
   * @param writes rows to write into inputs after each run. The result in place of the rows is then the input, and the outputs with their numbers
   *   are none
   * @throws Error naming the operator that the device cannot run
   */
  load(model: OnnxModel, writes?: readonly RowWrite[]): Promise<Executable>;
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
   * Runs once. Results are written into the arrays given in `into`; for missing ones the device allocates memory.
   *
   * @returns one array per output
   */
  run(inputs: readonly DeviceArray[], into: readonly (DeviceArray | undefined)[]): Promise<DeviceArray[]>;
  release(): Promise<void>;
}

export function isDeviceArray(value: unknown): value is DeviceArray {
  return typeof value === "object" && value !== null && "device" in value && "read" in value && "shape" in value;
}
