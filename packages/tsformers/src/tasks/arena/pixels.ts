import * as z from "zod";
import { count } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { dataOption, requireData } from "../data-option.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import { bitsPerDimension, loss } from "../metric.ts";
import { storedRows } from "../rows.ts";
import type { Splits } from "../splits.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { downscaled } from "./downscale.ts";
import { imageLengthOption, imageRow, pixelSymbols } from "./image-rows.ts";

/** Square pictures of some classes, as `readImages` finds them: one byte for each value, from dark to bright, pixel by pixel. */
export type Images = {
  /** Rows and columns of each picture. */
  readonly side: number;
  /** Values of a pixel: 1 of grey, or 3 of red, green and blue. */
  readonly channels: 1 | 3;
  readonly classNames: readonly string[];
  readonly splits: Splits<readonly LabelledImage[]>;
  /** The same for the same pictures and classes. */
  readonly identity: string;
};

export type LabelledImage = { readonly pixels: Uint8Array; readonly label: number };

export type PixelsOptions = {
  readonly images: Images;
  /** Rows and columns that pictures are made smaller to. Default: as they are. */
  readonly size?: number;
  /** Levels of grey, the lowest black. Default: 256. */
  readonly levels?: number;
  /** T, at least size²; what is longer is padding. Default: size². */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

/**
 * The class of a picture that is read pixel by pixel, from left to right and from top to bottom. Tokens: 0 padding, then levels of grey.
 *
 * To be predicted pixel by pixel, a row begins with token 0, so that each of its pixels counts: the loss in bits is then that per dimension.
 *
 * @source Tay et al. 2020, "Long Range Arena", §2.2.4, arXiv:2011.04006: CIFAR-10 (Krizhevsky 2009) in grey, 1,024 tokens
 * @throws RangeError when `size` is more than pictures have
 */
export function pixelsTask(options: PixelsOptions): LabelledTask {
  const { images, levels = 256, seed = 0 } = options;
  const { side, classNames, splits, identity } = images;
  const { size = side, length = size ** 2 } = options;
  if (images.channels !== 1)
    throw new RangeError("pixels: expected grey pictures, got colours; the task pictures has them");
  if (!(Number.isInteger(size) && size >= 1 && size <= side))
    throw new RangeError(`pixels: pictures of ${side} × ${side} can be made smaller, not to a size of ${size}`);
  if (!(Number.isInteger(levels) && levels >= 2 && levels <= 256))
    throw new RangeError(`pixels: levels must be an integer from 2 to 256, got ${levels}`);
  return labelledTask({
    name: "pixels",
    ...pixelSymbols(levels),
    columns: size,
    classes: classNames.length,
    classNames,
    length,
    seed,
    start: 0,
    tokenMetrics: [loss, bitsPerDimension],
    fingerprint: `pixels size=${size} levels=${levels} ${identity} seed=${seed}`,
    source: storedRows({
      seed,
      splits,
      row: ({ pixels, label }, rowLength) => {
        const small = downscaled(pixels, side, size);
        return imageRow(
          "pixels",
          small.map((value) => Math.floor((value * levels) / 256)),
          label,
          rowLength,
        );
      },
    }),
  });
}

export type PixelsSettings = Omit<PixelsOptions, "images"> & { readonly data?: string };

export const pixelsEntry: TaskEntry<"pixels", PixelsSettings> = /* @__PURE__ */ taskEntry({
  name: "pixels",
  title: "Pixels",
  category: "data",
  summary: "tell the class of pictures read pixel by pixel, or predict each next pixel (Long Range Arena: CIFAR-10)",
  options: () =>
    z.strictObject({
      data: dataOption(
        "CIFAR-10 (binary version, folder or .tar.gz), a folder with MNIST's four files, or one with images_u8.bin and labels_u8.bin",
      ),
      size: count(1024, "larger pictures are too long to be read", 1)
        .optional()
        .describe("rows and columns that pictures are made smaller to. Default: as they are"),
      levels: count(256, "a pixel is a byte", 2).default(256).describe("levels of grey"),
      length: imageLengthOption("size"),
      seed: seedOption(),
    }),
  make: async ({ data, ...rest }, context) => {
    const { readImages } = await import("#files");
    return pixelsTask({
      ...present(rest),
      images: readImages(requireData("pixels", data, "pictures, such as CIFAR-10 or MNIST"), context),
    });
  },
});
