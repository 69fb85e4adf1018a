import { NDArray } from "@tsformers/engine";
import * as z from "zod";
import type { PictureShape } from "../../pictures/picture-model.ts";
import { count, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { dataOption, requireData } from "../data-option.ts";
import { bitsPerDimension, valueLoss } from "../metric.ts";
import { type RowForm, rowsView, storedRows } from "../rows.ts";
import type { PicturesBatch, Task, TaskViews } from "../task.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { downscaled } from "./downscale.ts";
import type { Images } from "./pixels.ts";

export type PicturesOptions = {
  readonly images: Images;
  /** Rows and columns that pictures are made smaller to. Default: as they are. */
  readonly size?: number;
  /** L, of each channel, the lowest dark. Default: 256. */
  readonly levels?: number;
  /** Must be the number of values of a picture. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

/** Default of the pictures scored in an evaluation. */
const usualPictures = 256;

/**
 * How likely pictures are: what a model of pictures learns, in colours or in grey. Evaluation scores whole pictures.
 *
 * @throws RangeError when `size` is more than pictures have, or the length is not that of a picture
 */
export function picturesTask(options: PicturesOptions): Task<Required<Pick<TaskViews, "pictures">>> {
  const { images, levels = 256, seed = 0 } = options;
  const { side, channels, splits, identity } = images;
  const { size = side } = options;
  if (!(Number.isInteger(size) && size >= 1 && size <= side))
    throw new RangeError(`pictures: pictures of ${side} × ${side} can be made smaller, not to a size of ${size}`);
  if (!(Number.isInteger(levels) && levels >= 2 && levels <= 256))
    throw new RangeError(`pictures: levels must be an integer from 2 to 256, got ${levels}`);
  const shape: PictureShape = { rows: size, columns: size, channels, levels };
  const values = size * size * channels;
  const requireLength = (length: number): void => {
    if (length !== values)
      throw new RangeError(
        `pictures: ${size} × ${size} × ${channels} are ${values} values, the length is ${length}; leave it out`,
      );
  };
  requireLength(options.length ?? values);
  const source = storedRows({
    seed,
    splits,
    row: ({ pixels }, length) => {
      requireLength(length);
      return downscaled(pixels, side, size, channels).map((value) => Math.floor((value * levels) / 256));
    },
  });
  const view = rowsView({ name: "pictures", length: values, source, limit: usualPictures, form: picturesForm(shape) });
  return {
    name: "pictures",
    vocabularySize: levels,
    length: values,
    metrics: [valueLoss, bitsPerDimension],
    fingerprint: `pictures size=${size} levels=${levels} ${identity} seed=${seed}`,
    views: { pictures: { ...view, shape } },
  };
}

/** Pictures, each of which counts as one answer. */
function picturesForm({ rows, columns, channels }: PictureShape): RowForm<Uint8Array, PicturesBatch> {
  return {
    isOneAnswer: true,
    scored: () => 1,
    cut: (row) => row,
    pack: (given, batchSize, length) => {
      const values = new Int32Array(batchSize * length);
      given.forEach((picture, b) => {
        values.set(picture, b * length);
      });
      return {
        pictures: new NDArray([batchSize, rows, columns, channels], "int32", values),
        weights: new NDArray(
          [batchSize],
          "float32",
          Float32Array.from({ length: batchSize }, (_, b) => (b < given.length ? 1 : 0)),
        ),
      };
    },
  };
}

export type PicturesSettings = Omit<PicturesOptions, "images"> & { readonly data?: string; readonly grey?: boolean };

export const picturesEntry: TaskEntry<"pictures", PicturesSettings> = /* @__PURE__ */ taskEntry({
  name: "pictures",
  title: "Pictures",
  category: "data",
  summary: "tell how likely pictures are, in colours, and so learn to draw them",
  options: () =>
    z.strictObject({
      data: dataOption("pictures, in the forms that the task pixels reads"),
      grey: z.boolean().default(false).describe("whether colours become grey"),
      size: count(1024, "larger pictures are too long to be read", 1)
        .optional()
        .describe("rows and columns that pictures are made smaller to. Default: as they are"),
      levels: count(256, "a channel is a byte", 2).default(256).describe("levels of each channel"),
      length: positionCount().optional().describe("values of a picture, which follow from its size; to be left out"),
      seed: seedOption(),
    }),
  make: async ({ data, grey = false, ...rest }, { note }) => {
    const { readImages } = await import("#files");
    const path = requireData("pictures", data, "pictures, such as CIFAR-10");
    const images = readImages(path, { channels: grey ? 1 : 3, ...present({ note }) });
    return picturesTask({ ...present(rest), images });
  },
});
