import type { DataFile } from "../../io/data-files.ts";
import { FileError } from "../../io/file-error.ts";
import { classesIn, type FindFile, type FoundImages, numbered } from "./found-images.ts";
import type { LabelledImage } from "./pixels.ts";

const files = {
  images: /^train-images[-.]idx3-ubyte(\.gz)?$/,
  labels: /^train-labels[-.]idx1-ubyte(\.gz)?$/,
  testImages: /^t10k-images[-.]idx3-ubyte(\.gz)?$/,
  testLabels: /^t10k-labels[-.]idx1-ubyte(\.gz)?$/,
};

/** MNIST's files, and those of data in its form, such as Fashion-MNIST: `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, `t10k-…`. */
export function readIdxImages(path: string, find: FindFile): FoundImages | undefined {
  const [images, testImages] = [find(files.images), find(files.testImages)];
  if (images === undefined) return undefined;
  const train = labelled(path, images, find(files.labels));
  const test = testImages && labelled(path, testImages, find(files.testLabels));
  if (test !== undefined && test.side !== train.side)
    throw new FileError(path, `training pictures have ${train.side} rows, those of the test ${test.side}`);
  return {
    side: train.side,
    channels: 1,
    classNames: numbered(Math.max(train.classes, test?.classes ?? 0)),
    images: train.images,
    ...(test !== undefined && { test: test.images }),
  };
}

function labelled(
  path: string,
  imageFile: DataFile,
  labelFile: DataFile | undefined,
): { readonly side: number; readonly classes: number; readonly images: LabelledImage[] } {
  if (labelFile === undefined) throw new FileError(path, `has ${imageFile.name}, but no labels beside it`);
  const { extents, values } = readIdx(`${path}/${imageFile.name}`, imageFile.read(), 3);
  const labels = readIdx(`${path}/${labelFile.name}`, labelFile.read(), 1);
  const [count, side, columns] = extents as [number, number, number];
  if (side !== columns)
    throw new FileError(`${path}/${imageFile.name}`, `expected square pictures, got ${side} × ${columns}`);
  if (labels.values.length !== count)
    throw new FileError(path, `${count} pictures in ${imageFile.name}, ${labels.values.length} labels`);
  const pixels = side * side;
  return {
    side,
    classes: classesIn(labels.values),
    images: Array.from(labels.values, (label, i) => ({ pixels: values.subarray(i * pixels, (i + 1) * pixels), label })),
  };
}

/** An array of bytes: two zeros, the type 8, the number of axes, each extent in four bytes, the values. */
function readIdx(path: string, bytes: Uint8Array, axes: number): { extents: number[]; values: Uint8Array } {
  const header = 4 + 4 * axes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < header || view.getUint32(0) !== 0x0800 + axes)
    throw new FileError(path, `is not an idx file of bytes with ${axes} axes`);
  const extents = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = extents.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== header + size)
    throw new FileError(path, `expected ${header + size} bytes for ${extents.join(" × ")} values, got ${bytes.length}`);
  return { extents, values: bytes.subarray(header) };
}
