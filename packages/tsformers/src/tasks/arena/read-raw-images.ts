import * as z from "zod";
import { FileError } from "../../io/file-error.ts";
import { classesIn, type FindFile, type FoundImages, numbered } from "./found-images.ts";

const metaSchema = z.object({
  n: z.int().positive(),
  /** Rows, columns, and channels where there are several. */
  shape: z.union([z.tuple([z.int().positive(), z.int().positive()]), z.array(z.int().positive()).length(3)]),
  classes: z.array(z.string()).min(2).optional(),
});

/**
 * Pictures one behind the other, one byte a value: `images_*.bin` (`.gz`, too) and `labels_*.bin`. What they are is in `meta.json`: `n`, `shape` [rows,
 * columns, channels] and `classes`; without it they are square and grey.
 */
export function readRawImages(path: string, find: FindFile): FoundImages | undefined {
  const [imageFile, labelFile] = [find(/^images_.*\.bin(\.gz)?$/), find(/^labels_.*\.bin(\.gz)?$/)];
  if (imageFile === undefined || labelFile === undefined) return undefined;
  const [bytes, labels] = [imageFile.read(), labelFile.read()];
  const metaFile = find(/^meta\.json$/);
  const meta = metaFile && readMeta(`${path}/${metaFile.name}`, metaFile.read());
  const count = labels.length;
  const [rows, columns, channels = 1] = meta?.shape ?? squareOf(bytes.length / count);
  const size = rows! * columns! * channels;
  if (rows !== columns || ![1, 3, 4].includes(channels))
    throw new FileError(
      path,
      `expected square pictures with 1, 3 or 4 channels, got ${rows} × ${columns} × ${channels}`,
    );
  if (count === 0 || bytes.length !== count * size || (meta !== undefined && meta.n !== count))
    throw new FileError(
      path,
      `${count} labels need ${count} pictures of ${size} bytes, ${imageFile.name} has ${bytes.length} bytes`,
    );
  return {
    side: rows!,
    channels,
    classNames: meta?.classes ?? numbered(classesIn(labels)),
    images: Array.from(labels, (label, i) => ({
      pixels: bytes.subarray(i * size, (i + 1) * size),
      label,
    })),
  };
}

function readMeta(path: string, bytes: Uint8Array): z.output<typeof metaSchema> {
  try {
    return metaSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new FileError(path, "expected JSON with n, shape [rows, columns, channels] and, if they are named, classes");
  }
}

/** The extents of a grey picture of so many bytes; not whole numbers where it is not square. */
function squareOf(bytes: number): number[] {
  const side = Math.floor(Math.sqrt(bytes));
  return [side, side];
}
