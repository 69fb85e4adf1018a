import type { InferenceSession, Tensor } from "onnxruntime-web";
import { allocate } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import { encodeModel } from "../onnx/encode.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { Device, DeviceArray, DeviceName, Executable } from "./device.ts";
import { fromOrt, type NamedType, type Ort, signatureOf, toOrt } from "./ort.ts";
import type { InOrder } from "./serial.ts";

export type HostDeviceOptions = {
  readonly ort: Ort;
  readonly sessionOptions: InferenceSession.SessionOptions;
  readonly inOrder: InOrder;
  /** Whether ONNX Runtime writes results into arrays that it is given. In the browser it loses them. */
  readonly writesInto: boolean;
};

type HostArray = DeviceArray & { readonly array: NDArray; readonly tensor: Tensor };

/** A device whose arrays lie in JavaScript's memory; ONNX Runtime moves them to where it computes, if that is elsewhere. */
export function hostDevice(name: DeviceName, options: HostDeviceOptions): Device {
  const { ort, inOrder, sessionOptions, writesInto } = options;
  const sessions = new Set<InferenceSession>();
  const hold = (array: NDArray): HostArray => {
    const { shape, dtype } = array;
    return { shape, dtype, device, array, tensor: toOrt(ort, array), read: async () => array, dispose: () => {} };
  };
  const zeros = ({ shape, dtype }: NamedType) => hold(new NDArray(shape, dtype, allocate(dtype, sizeOfShape(shape))));
  const load = async (model: OnnxModel): Promise<Executable> => {
    const session = await inOrder(() => ort.InferenceSession.create(encodeModel(model), sessionOptions));
    sessions.add(session);
    const { inputs, outputs } = signatureOf(model);
    const feed = (arrays: readonly DeviceArray[]) =>
      Object.fromEntries(arrays.map((array, i) => [inputs[i]!, (array as HostArray).tensor]));
    const runInto = async (arrays: readonly DeviceArray[], into: readonly (DeviceArray | undefined)[]) => {
      const results = outputs.map((type, i) => into[i] ?? zeros(type));
      await session.run(
        feed(arrays),
        Object.fromEntries(results.map((result, i) => [outputs[i]!.name, (result as HostArray).tensor])),
      );
      return results;
    };
    const runFresh = async (arrays: readonly DeviceArray[]) => {
      const results = await session.run(feed(arrays));
      return outputs.map((type) => hold(fromOrt(results[type.name]!, type)));
    };
    return {
      run: (arrays, into) => inOrder(() => (writesInto ? runInto(arrays, into) : runFresh(arrays))),
      release: () => inOrder(async () => void (sessions.delete(session) && (await session.release()))),
    };
  };
  const close = async () => {
    for (const session of sessions) await session.release();
    sessions.clear();
  };
  const device: Device = {
    name,
    sharesMemory: true,
    load,
    put: hold,
    allocate: (type) => zeros({ name: "", ...type }),
    close: () => inOrder(close),
  };
  return device;
}
