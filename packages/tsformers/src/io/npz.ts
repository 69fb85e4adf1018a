import { NDArray, sizeOfShape } from "@tsformers/engine";
import { dataFiles } from "./data-files.ts";
import { FileError } from "./file-error.ts";

/** How NumPy writes numbers of each sort, and how one is read. */
const readers: Readonly<Record<string, { readonly sizeBytes: number; read(view: DataView, at: number): number }>> = {
  "<f4": { sizeBytes: 4, read: (view, at) => view.getFloat32(at, true) },
  "<f8": { sizeBytes: 8, read: (view, at) => view.getFloat64(at, true) },
  "<i4": { sizeBytes: 4, read: (view, at) => view.getInt32(at, true) },
  "<i8": { sizeBytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
  "|u1": { sizeBytes: 1, read: (view, at) => view.getUint8(at) },
  "|b1": { sizeBytes: 1, read: (view, at) => view.getUint8(at) },
};

/**
 * The arrays of numbers in a `.npz` archive of NumPy, as float32, by name. Arrays of other things, such as objects, are left out.
 *
 * @throws FileError when the archive, or an array in it, is damaged
 */
export function readNpz(path: string): Map<string, NDArray> {
  const files = dataFiles(path, { note: () => {} }).filter(({ name }) => name.endsWith(".npy"));
  return new Map(
    files.flatMap(({ name, path: where, read }) => {
      const array = parseNpy(read(), where);
      return array === undefined ? [] : [[name.slice(0, -".npy".length), array] as const];
    }),
  );
}

/**
 * An array of NumPy's `.npy` format as float32; undefined where its elements are no numbers.
 *
 * @throws FileError when it is damaged
 */
export function parseNpy(bytes: Uint8Array, path: string): NDArray | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = "\x93NUMPY";
  if (bytes.length < 12 || ![...magic].every((letter, i) => bytes[i] === letter.charCodeAt(0)))
    throw new FileError(path, "is no array of NumPy");
  const isShort = bytes[6] === 1;
  const start = isShort ? 10 : 12;
  const end = start + (isShort ? view.getUint16(8, true) : view.getUint32(8, true));
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, Math.min(end, bytes.length)));
  const descr = /'descr': *'([^']+)'/.exec(header)?.[1];
  const sizes = /'shape': *\(([^)]*)\)/.exec(header)?.[1];
  if (sizes === undefined || end > bytes.length) throw new FileError(path, "its header is damaged");
  const reader = descr === undefined ? undefined : readers[descr];
  if (reader === undefined) return undefined;
  if (/'fortran_order': *True/.test(header))
    throw new FileError(path, "is stored column by column; expected row by row (np.ascontiguousarray)");
  const shape = sizes.split(",").flatMap((size) => (size.trim() === "" ? [] : [Number(size)]));
  const count = sizeOfShape(shape);
  if (count * reader.sizeBytes !== bytes.length - end)
    throw new FileError(
      path,
      `its shape [${shape.join(", ")}] needs ${count * reader.sizeBytes} bytes, it has ${bytes.length - end}`,
    );
  const values = Float32Array.from({ length: count }, (_, i) => reader.read(view, end + i * reader.sizeBytes));
  return new NDArray(shape, "float32", values);
}
