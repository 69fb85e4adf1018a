import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { allocate } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import { encodeModel } from "../onnx/encode.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { Device, DeviceArray, Executable } from "./device.ts";

export type NodeDeviceOptions = {
  /** Threads for the work inside one operator; all cores unless told. */
  readonly threads?: number;
  /** Where ONNX Runtime writes a profile, one file a session; see `onnxruntime` documentation for its format. */
  readonly profilePrefix?: string;
};

/**
 * Opens the CPU of this machine.
 *
 * Arrays are shared with ONNX Runtime, never copied; a run blocks the JavaScript thread until it is done.
 */
export async function openCpu(options: NodeDeviceOptions = {}): Promise<Device> {
  const device: Device = {
    name: "cpu",
    load: (model) => load(model, device, options),
    put: (array) => onCpu(array, device),
    allocate: (type) => onCpu(new NDArray(type.shape, type.dtype, allocate(type.dtype, sizeOfShape(type.shape))), device),
    close: async () => {},
  };
  return device;
}

type CpuArray = DeviceArray & { readonly array: NDArray; readonly ort: OrtTensor };

function onCpu(array: NDArray, device: Device): CpuArray {
  const { shape, dtype, data } = array;
  const ort = new OrtTensor(dtype as "float32", data as Float32Array, shape as number[]);
  return { shape, dtype, device, array, ort, read: async () => array, dispose: () => {} };
}

async function load(model: OnnxModel, device: Device, options: NodeDeviceOptions): Promise<Executable> {
  const session = await InferenceSession.create(encodeModel(model), sessionOptions(options));
  const inputs = model.graph.inputs.map(({ name }) => name);
  const outputs = model.graph.outputs.map(({ name, shape, dtype }) => ({ name, shape: shape as number[], dtype }) as ArrayType & { name: string });
  return {
    run: async (arrays, into) => {
      const feeds = Object.fromEntries(arrays.map((array, i) => [inputs[i]!, (array as CpuArray).ort]));
      const results = outputs.map((type, i) => into[i] ?? device.allocate(type));
      const fetches = Object.fromEntries(results.map((result, i) => [outputs[i]!.name, (result as CpuArray).ort]));
      await session.run(feeds, fetches);
      return results;
    },
    release: () => session.release(),
  };
}

function sessionOptions({ threads, profilePrefix }: NodeDeviceOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: ["cpu"],
    enableMemPattern: false,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(profilePrefix === undefined ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
    // Merging equal nodes would undo recomputation.
    extra: { optimization: { disable_specified_optimizers: "CommonSubexpressionElimination" } },
  };
}
