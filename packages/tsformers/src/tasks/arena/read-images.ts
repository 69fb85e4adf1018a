import { statSync } from "node:fs";
import { crc32c } from "../../io/crc32c.ts";
import { dataFiles } from "../../io/data-files.ts";
import { FileError } from "../../io/file-error.ts";
import { noteOnStderr } from "../../io/read-text.ts";
import type { Note } from "../../io/text-files.ts";
import { type Splits, shuffled, tenths } from "../splits.ts";
import { convertedPixels, type FindFile, type FoundImages } from "./found-images.ts";
import type { Images, LabelledImage } from "./pixels.ts";
import { readCifar } from "./read-cifar.ts";
import { readIdxImages } from "./read-idx.ts";
import { readRawImages } from "./read-raw-images.ts";

const layouts = [readCifar, readIdxImages, readRawImages];

/**
 * Reads pictures with a class each: CIFAR-10's binary version, as a folder or archive; MNIST's four files (`…-images-idx3-ubyte`, `.gz`, too), and
 * others in their form; or `images_*.bin` and `labels_*.bin`, one byte a value, with `meta.json` if they are not square and grey. Colours become grey by
 * their luminance, unless `channels` is 3; what is transparent is seen before black.
 *
 * A tenth of the training pictures is for validation, always the same ones, and another for the test where the data have none.
 *
 * @throws FileError when none of these files are there, or their sizes do not agree
 */
export function readImages(
  path: string,
  { note = noteOnStderr, channels = 1 }: { readonly note?: Note; readonly channels?: 1 | 3 } = {},
): Images {
  const files = dataFiles(statSync(path, { throwIfNoEntry: false }) === undefined ? missing(path) : path, { note });
  const find: FindFile = (name) => files.find((file) => name.test(file.name.split("/").at(-1)!));
  for (const layout of layouts) {
    const found = layout(path, find);
    if (found !== undefined) return imagesOf(path, found, channels);
  }
  throw new FileError(
    path,
    "has no pictures in a known form: expected CIFAR-10's data_batch_1.bin …, MNIST's train-images-idx3-ubyte …, or images_*.bin and labels_*.bin",
  );
}

function missing(path: string): never {
  throw new FileError(path, "no such file or folder");
}

function imagesOf(path: string, found: FoundImages, channels: 1 | 3): Images {
  const { side, classNames } = found;
  const convert = ({ pixels, label }: LabelledImage) => ({
    pixels: convertedPixels(pixels, found.channels, channels),
    label,
  });
  const [images, test] = [found.images.map(convert), found.test?.map(convert)];
  const spread = tenths(images);
  const splits: Splits<readonly LabelledImage[]> =
    test === undefined
      ? spread
      : { train: [...spread.train, ...spread.test], valid: spread.valid, test: shuffled(test) };
  const empty = Object.entries(splits).find(([, part]) => part.length === 0);
  if (empty !== undefined) throw new FileError(path, `has too few pictures to split: none is left for ${empty[0]}`);
  const all = [...images, ...(test ?? [])];
  const wrong = all.find(({ label }) => label >= classNames.length);
  if (wrong !== undefined)
    throw new FileError(path, `expected labels from 0 to ${classNames.length - 1}, got ${wrong.label}`);
  const sum = all.reduce((sum, { pixels, label }) => crc32c(pixels, crc32c(Uint8Array.of(label), sum)), 0);
  const identity = `images=${all.length} side=${side}${channels === 1 ? "" : ` channels=${channels}`} classes=${classNames.length} crc32c=${sum.toString(16).padStart(8, "0")}`;
  return { side, channels, classNames, splits, identity };
}
