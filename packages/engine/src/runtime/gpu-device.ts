import type { InferenceSession, Tensor } from "onnxruntime-web";
import { allocate } from "../array/dtype.ts";
import { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import type { OnnxModel } from "../onnx/model.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import type { Device, DeviceArray, DeviceName, Executable } from "./device.ts";
import { type Buffer, gpuSessions, type Owner } from "./gpu-sessions.ts";
import { identityModel } from "./identity-model.ts";
import { fromOrt, type Ort, signatureOf, toOrt } from "./ort.ts";
import { goneError, ownArray } from "./own-array.ts";
import { type InOrder, untilClosed } from "./serial.ts";

export type GpuDeviceOptions = {
  readonly ort: Ort;
  readonly sessionOptions: InferenceSession.SessionOptions;
  readonly inOrder: InOrder;
};

/** Location of an array: in JavaScript's memory, in a GPU buffer, or nowhere after disposal. */
type Place = { host: NDArray | undefined; buffer: Buffer | undefined; fed: boolean };
type GpuArray = DeviceArray & { readonly place: Place };

/**
 * A device whose results stay in GPU buffers until they are read. An array that is put on it is copied there at its first use, only for
 * that run (a batch), and permanently at its second use (parameters).
 *
 * Arrays are copied by models of one `Identity` node: for a GPU buffer, `Tensor.getData` of onnxruntime-node 1.30 crashes
 * the process, and in the browser it turns the tensor into one on the CPU. Donated buffers are freed before the run, so
 * that the new results take their memory; onnxruntime-node ignores pre-allocated results on the GPU.
 */
export function gpuDevice(name: DeviceName, { ort, sessionOptions, inOrder }: GpuDeviceOptions): Device {
  const open = untilClosed(name, inOrder);
  const sessions = gpuSessions(ort, sessionOptions);
  const movers = new Map<string, Promise<Owner>>();

  const move = async (tensor: Tensor, { shape, dtype }: ArrayType, to: "gpu" | "cpu") => {
    const key = `${dtype} ${shape.length} ${to}`;
    const mover = movers.get(key) ?? sessions.open(identityModel(dtype, shape.length), to === "gpu");
    movers.set(key, mover);
    const owner = await mover;
    return { tensor: (await owner.session.run({ in: tensor })).out!, owner };
  };
  const feed = async (array: DeviceArray): Promise<Tensor> => {
    const { place, shape, dtype } = ownArray<GpuArray>(device, array);
    if (place.buffer !== undefined) return place.buffer.tensor;
    if (place.host === undefined) throw goneError(device, array);
    const tensor = toOrt(ort, place.host);
    if (place.fed && sizeOfShape(shape) > 0 && dtype !== "float64") {
      const moved = await move(tensor, { shape, dtype }, "gpu");
      place.buffer = sessions.keep(moved.tensor, moved.owner);
      place.host = undefined;
      return moved.tensor;
    }
    place.fed = true;
    return tensor;
  };
  const read = async (array: GpuArray): Promise<NDArray> => {
    if (array.place.host !== undefined) return array.place.host;
    return fromOrt((await move(await feed(array), array, "cpu")).tensor, array);
  };
  const discard = async (place: Place): Promise<void> => {
    const { buffer } = place;
    place.host = place.buffer = undefined;
    if (buffer !== undefined) await sessions.free(buffer);
  };
  const unreachable = new FinalizationRegistry<Place>((place) => void inOrder(() => discard(place)));
  const hold = ({ shape, dtype }: ArrayType, place: Place): GpuArray => {
    const array: GpuArray = {
      shape,
      dtype,
      device,
      place,
      read: () => open.inOrder(() => read(array)),
      dispose: () => void inOrder(() => discard(place)),
    };
    unreachable.register(array, place);
    return array;
  };
  const put = (array: NDArray): GpuArray => hold(array, { host: array, buffer: undefined, fed: false });
  const load = async (model: OnnxModel): Promise<Executable> => {
    const owner = await open.inOrder(() => sessions.open(model, true));
    const { inputs, outputs } = signatureOf(model);
    const run = async (arrays: readonly DeviceArray[], into: readonly (DeviceArray | undefined)[]) => {
      const feeds: Record<string, Tensor> = {};
      for (const [i, array] of arrays.entries()) feeds[inputs[i]!] = await feed(array);
      for (const array of into) if (array !== undefined) await discard(ownArray<GpuArray>(device, array).place);
      const results = await owner.session.run(feeds);
      return outputs.map((type) => {
        const tensor = results[type.name]!;
        if (tensor.location === "cpu") return put(fromOrt(tensor, type));
        return hold(type, { host: undefined, buffer: sessions.keep(tensor, owner), fed: true });
      });
    };
    return {
      run: (arrays, into) => open.inOrder(() => run(arrays, into)),
      release: () => inOrder(() => sessions.close(owner)),
    };
  };
  const device: Device = {
    name,
    sharesMemory: false,
    writesRows: false,
    load,
    put,
    allocate: ({ shape, dtype }) => put(new NDArray(shape, dtype, allocate(dtype, sizeOfShape(shape)))),
    close: () => open.close(() => sessions.closeAll()),
  };
  return device;
}
