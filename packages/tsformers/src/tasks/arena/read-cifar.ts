import { FileError } from "../../io/file-error.ts";
import { type FindFile, type FoundImages, numbered } from "./found-images.ts";
import type { LabelledImage } from "./pixels.ts";

const side = 32;
const plane = side * side;
/** A label, then the red, the green and the blue of all pixels. */
const recordBytes = 1 + 3 * plane;

/** CIFAR-10's binary version: `data_batch_1.bin` …, `test_batch.bin`, and the names of classes in `batches.meta.txt`. */
export function readCifar(path: string, find: FindFile): FoundImages | undefined {
  if (find(/^data_batch_1\.bin$/) === undefined) return undefined;
  const images: LabelledImage[] = [];
  for (let batch = 1; ; batch++) {
    const file = find(new RegExp(`^data_batch_${batch}\\.bin$`));
    if (file === undefined) break;
    images.push(...records(path, file.name, file.read()));
  }
  const test = find(/^test_batch\.bin$/);
  const meta = find(/^batches\.meta\.txt$/);
  const names =
    meta &&
    new TextDecoder()
      .decode(meta.read())
      .split(/\r?\n/)
      .filter((line) => line.trim() !== "");
  return {
    side,
    channels: 3,
    classNames: names ?? numbered(10),
    images,
    ...(test !== undefined && { test: records(path, test.name, test.read()) }),
  };
}

function records(path: string, name: string, bytes: Uint8Array): LabelledImage[] {
  if (bytes.length === 0 || bytes.length % recordBytes !== 0)
    throw new FileError(`${path}/${name}`, `expected records of ${recordBytes} bytes, got ${bytes.length} bytes`);
  return Array.from({ length: bytes.length / recordBytes }, (_, record) => {
    const start = record * recordBytes;
    const pixels = Uint8Array.from(
      { length: 3 * plane },
      (_, i) => bytes[start + 1 + (i % 3) * plane + Math.floor(i / 3)]!,
    );
    return { pixels, label: bytes[start]! };
  });
}
