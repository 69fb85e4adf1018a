import { type Concrete, foldIn, randomKey } from "@tsformers/engine";
import { requireCounts } from "../nn/sizes.ts";
import { dimensionsOf, type PictureModel, type WriterOptions } from "./picture-model.ts";

export type WriteOptions = WriterOptions & {
  /** Seed of the drawing. Default: 0. */
  readonly seed?: number;
  /** Pictures to complete: values [count·R·W·K] and which of them are kept, [R·W·K]. Default: everything is drawn. */
  readonly given?: { readonly pictures: ArrayLike<number>; readonly isKept: readonly boolean[] };
  readonly signal?: AbortSignal;
};

/**
 * Draws pictures, or what is missing of them, step by step in the order of the model. What is kept conditions only steps behind it in that order.
 *
 * @returns values [count·R·W·K], picture by picture, row by row
 * @throws RangeError for numbers that cannot be; what `signal` aborts with
 */
export async function writePictures<Params>(
  model: PictureModel<Params>,
  params: Concrete<Params>,
  { seed = 0, given, signal, ...options }: WriteOptions,
): Promise<Int32Array> {
  const { count, temperature = 1 } = options;
  const { shape, steps, input } = model;
  requireCounts("writePictures", { count });
  if (!(temperature > 0)) throw new RangeError(`writePictures: expected a temperature above 0, got ${temperature}`);
  const dimensions = dimensionsOf(shape);
  requireGiven(given, { count, dimensions, levels: shape.levels });
  requireSmall(options.small, input, count);
  const pictures = new Int32Array(count * dimensions);
  const writer = model.openWriter(params, options);
  try {
    for (const [step, places] of steps.entries()) {
      signal?.throwIfAborted();
      const drawn = await writer.draw(step, pictures, foldIn(randomKey(seed), step));
      for (let b = 0; b < count; b++) {
        places.forEach((place, i) => {
          const at = b * dimensions + place;
          pictures[at] = given?.isKept[place] ? given.pictures[at]! : drawn[b * places.length + i]!;
        });
      }
    }
  } finally {
    await writer.release();
  }
  return pictures;
}

/** @throws RangeError for small pictures where the model reads none, for none where it does, and for others than it reads */
function requireSmall(small: WriteOptions["small"], input: PictureModel["input"], count: number): void {
  if (input === undefined) {
    if (small !== undefined) throw new RangeError("writePictures: this model draws from nothing; leave small out");
    return;
  }
  const { rows, columns, channels, levels } = input;
  const values = count * dimensionsOf(input);
  if (small?.length !== values)
    throw new RangeError(
      `writePictures: expected ${values} values in small, ${count} pictures of ${rows} × ${columns} × ${channels}, got ${small?.length ?? "none"}`,
    );
  requireLevels("small", small, levels);
}

function requireLevels(name: string, values: ArrayLike<number>, levels: number): void {
  const wrong = Array.from(values).find((value) => !(Number.isInteger(value) && value >= 0 && value < levels));
  if (wrong !== undefined)
    throw new RangeError(`writePictures: ${name}: expected values of 0 … ${levels - 1}, got ${wrong}`);
}

function requireGiven(
  given: WriteOptions["given"],
  { count, dimensions, levels }: { readonly count: number; readonly dimensions: number; readonly levels: number },
): void {
  if (given === undefined) return;
  if (given.pictures.length !== count * dimensions || given.isKept.length !== dimensions)
    throw new RangeError(
      `writePictures: ${count} pictures of ${dimensions} values need as many, and ${dimensions} marks of what is kept; got ${given.pictures.length} and ${given.isKept.length}`,
    );
  requireLevels("given", given.pictures, levels);
}
