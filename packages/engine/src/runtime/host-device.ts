import type { InferenceSession, Tensor } from "onnxruntime-web";
import { allocate } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import { encodeModel } from "../onnx/encode.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { Device, DeviceArray, DeviceName, Executable } from "./device.ts";
import { fromOrt, type Ort, signatureOf, toOrt } from "./ort.ts";
import { goneError, ownArray } from "./own-array.ts";
import { type RowWrite, writeRows } from "./row-writes.ts";
import { type InOrder, untilClosed } from "./serial.ts";

export type HostDeviceOptions = {
  readonly ort: Ort;
  readonly sessionOptions: InferenceSession.SessionOptions;
  readonly inOrder: InOrder;
  /** Whether ONNX Runtime writes results into given arrays. In the browser it does not. */
  readonly writesInto: boolean;
};

/** An array with ONNX Runtime's view of its memory. */
type Held = { readonly array: NDArray; readonly tensor: Tensor };
/** `held` is undefined after the array was disposed of, or a later run took its memory. */
type HostArray = DeviceArray & { readonly place: { held: Held | undefined } };

/** A device whose arrays are in JavaScript's memory; ONNX Runtime copies them to where it computes, if necessary. */
export function hostDevice(name: DeviceName, options: HostDeviceOptions): Device {
  const { ort, inOrder, sessionOptions, writesInto } = options;
  const open = untilClosed(name, inOrder);
  const sessions = new Set<InferenceSession>();
  const hold = (held: Held): HostArray => {
    const { shape, dtype } = held.array;
    const place: HostArray["place"] = { held };
    const array: HostArray = {
      shape,
      dtype,
      device,
      place,
      read: () => inOrder(async () => heldBy(array).array),
      dispose: () => void inOrder(async () => void (place.held = undefined)),
    };
    return array;
  };
  const heldBy = (array: DeviceArray): Held => {
    const { held } = ownArray<HostArray>(device, array).place;
    if (held === undefined) throw goneError(device, array);
    return held;
  };
  const put = (array: NDArray) => hold({ array, tensor: toOrt(ort, array) });
  const zeros = ({ shape, dtype }: ArrayType) => put(new NDArray(shape, dtype, allocate(dtype, sizeOfShape(shape))));
  /** A new array in the memory of another one, which becomes invalid. */
  const takeOver = (array: DeviceArray) => {
    const held = heldBy(array);
    (array as HostArray).place.held = undefined;
    return hold(held);
  };
  const load = async (model: OnnxModel, writes: readonly RowWrite[] = []): Promise<Executable> => {
    const session = await open.inOrder(() => ort.InferenceSession.create(encodeModel(model), sessionOptions));
    sessions.add(session);
    const { inputs, outputs } = signatureOf(model);
    const feed = (arrays: readonly DeviceArray[]) =>
      Object.fromEntries(arrays.map((array, i) => [inputs[i]!, heldBy(array).tensor]));
    // What is not given memory is made by ONNX Runtime: its bindings copy each result into a new array in any case.
    const runInto = async (arrays: readonly DeviceArray[], into: readonly (DeviceArray | undefined)[]) => {
      const feeds = feed(arrays);
      const kept = outputs.map((_, i) => (into[i] === undefined ? undefined : takeOver(into[i])));
      const fetches = outputs.map(({ name }, i) => [name, kept[i] === undefined ? null : heldBy(kept[i]).tensor]);
      const results = await session.run(feeds, Object.fromEntries(fetches));
      return outputs.map((type, i) => kept[i] ?? put(fromOrt(results[type.name]!, type)));
    };
    const runFresh = async (arrays: readonly DeviceArray[]) => {
      const results = await session.run(feed(arrays));
      return outputs.map((type) => put(fromOrt(results[type.name]!, type)));
    };
    const writeInto = (arrays: readonly DeviceArray[], outputs: readonly HostArray[]) => {
      const results = outputs.slice(0, outputs.length - writes.length);
      for (const { output, input, indices, rows } of writes) {
        const held = heldBy(arrays[input]!);
        const of = (at: number) => heldBy(outputs[at]!).array;
        writeRows(held.array, rows, { numbers: of(indices), given: of(output) });
        results[output] = hold(held);
      }
      return results;
    };
    return {
      run: (arrays, into) =>
        open.inOrder(async () => writeInto(arrays, await (writesInto ? runInto(arrays, into) : runFresh(arrays)))),
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
    writesRows: true,
    load,
    put,
    allocate: zeros,
    close: () => open.close(close),
  };
  return device;
}
