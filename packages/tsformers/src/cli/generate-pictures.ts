import type { Concrete, Device } from "@tsformers/engine";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { readDataFile } from "../io/data-files.ts";
import { encodePng } from "../io/png.ts";
import { decodePng } from "../io/read-png.ts";
import { dimensionsOf, type PictureModel, type PictureShape } from "../pictures/picture-model.ts";
import { enlargedPictures, shrunkPictures } from "../pictures/resized-pictures.ts";
import { type Sheet, sheetOf } from "../pictures/sheet.ts";
import { type WriteOptions, writePictures } from "../pictures/write-pictures.ts";
import type { OpenedModel } from "../run/open-model.ts";
import { prepareEvaluation } from "../run/prepare-evaluation.ts";
import { kebab } from "../schema/kebab.ts";
import { present } from "../schema/present.ts";
import { downscaled } from "../tasks/arena/downscale.ts";
import { convertedPixels } from "../tasks/arena/found-images.ts";
import { UsageError } from "./exit.ts";
import type { GenerateFlags } from "./generate-settings.ts";
import type { Terminal } from "./terminal.ts";

const ofText = [
  "prompt",
  "promptFile",
  "promptsFile",
  "promptTokens",
  "maxTokens",
  "topK",
  "topP",
  "beams",
  "lengthPenalty",
  "stop",
  "stopTokens",
  "ignoreEnd",
  "store",
  "nearest",
  "lambda",
] as const satisfies readonly (keyof GenerateFlags)[];

type OpenedPictures = OpenedModel & { readonly model: PictureModel };

/** Default of `--pictures`. */
export const usualPictures = 16;

/** @throws UsageError for flags that would do nothing, and where there is no file to write to */
export function requirePictureFlags(flags: GenerateFlags, { input }: Pick<PictureModel, "input">): void {
  const idle = ofText.find((name) => flags[name] !== undefined);
  if (idle !== undefined) throw new UsageError(`--${kebab(idle)} would do nothing: this model draws pictures`);
  if (flags.temperature !== undefined && !(flags.temperature > 0))
    throw new UsageError(`--temperature: a model of pictures needs more than 0, got ${flags.temperature}`);
  if (flags.output === undefined)
    throw new UsageError("a model of pictures writes a PNG: give the file, with --output pictures.png");
  if (input === undefined && flags.input !== undefined)
    throw new UsageError(
      "--input would do nothing: this model draws from nothing; one of --input-size reads a picture",
    );
  if (input !== undefined && flags.complete)
    throw new UsageError("--complete: this model draws larger pictures from small ones; leave it out");
}

/** Draws pictures, the lower halves of test pictures, or larger pictures from small ones, and writes them as one PNG. */
export async function generatePictures(
  opened: OpenedPictures,
  flags: GenerateFlags,
  { terminal, device, signal }: { readonly terminal: Terminal; readonly device: Device; readonly signal: AbortSignal },
): Promise<void> {
  const { model } = opened;
  requirePictureFlags(flags, model);
  const { output, pictures: count = flags.input === undefined ? usualPictures : 1, temperature, seed } = flags;
  const start = performance.now();
  const options: WriteOptions = { device, count, signal, ...present({ temperature, seed }) };
  const { sheet, about } = await drawnSheet(opened, flags, options);
  await writeFileAtomic(output!, encodePng(sheet.values, sheet));
  const seconds = (performance.now() - start) / 1000;
  if (flags.json) return terminal.out(JSON.stringify({ output, pictures: count, seconds }, null, 2));
  terminal.out(`${output}: ${count === 1 ? "one picture" : `${count} pictures`}${about}`);
}

/** What is written, and what its lines are. */
async function drawnSheet(
  opened: OpenedPictures,
  { complete, input }: GenerateFlags,
  options: WriteOptions,
): Promise<{ readonly sheet: Sheet; readonly about: string }> {
  const { model, params } = opened;
  const { shape } = model;
  const { count } = options;
  const write = (more: Partial<WriteOptions>) =>
    writePictures(model, params as Concrete<unknown>, { ...options, ...more });
  const across = Math.ceil(Math.sqrt(count));
  if (complete) {
    const given = await upperHalves(opened, count);
    const drawn = await write({ given });
    const lines = [...shownPart(given), ...drawn, ...Array.from(given.pictures)];
    return { sheet: sheetOf(lines, shape, count), about: "; what was given, what was drawn, and what it was" };
  }
  if (model.input === undefined) return { sheet: sheetOf(await write({}), shape, across), about: "" };
  if (input !== undefined) {
    const values = smallPicture(input, model.input);
    const small = Array.from({ length: count }, () => values).flat();
    return { sheet: sheetOf(await write({ small }), shape, across), about: "" };
  }
  const pictures = await testPictures(opened, count);
  const small = shrunkPictures(pictures, shape, model.input);
  const lines = [...enlargedPictures(small, model.input, shape), ...(await write({ small })), ...pictures];
  return { sheet: sheetOf(lines, shape, count), about: "; what was given, what was drawn, and what it was" };
}

/**
 * The values of a picture of a PNG file, made smaller where it is larger than a model reads.
 *
 * @throws UsageError for one that is no square, or too small
 */
function smallPicture(path: string, { rows, channels, levels }: PictureShape): number[] {
  const found = decodePng(readDataFile(path), path);
  if (found.rows !== found.columns || found.rows < rows)
    throw new UsageError(
      `--input ${path}: expected a square of at least ${rows} × ${rows} pixels, got ${found.rows} × ${found.columns}`,
    );
  const pixels = convertedPixels(found.values, found.channels, channels as 1 | 3);
  return Array.from(downscaled(pixels, found.rows, rows, channels), (value) => Math.floor((value * levels) / 256));
}

/** Pictures of the test, of which the upper half is kept. */
async function upperHalves(opened: OpenedPictures, count: number): Promise<NonNullable<WriteOptions["given"]>> {
  const { shape } = opened.model;
  const kept = Math.ceil(shape.rows / 2) * shape.columns * shape.channels;
  const isKept = Array.from({ length: dimensionsOf(shape) }, (_, place) => place < kept);
  return { pictures: await testPictures(opened, count), isKept };
}

/** The first pictures of the test, of the run's data. */
async function testPictures(opened: OpenedPictures, count: number): Promise<number[]> {
  const { run, length } = opened;
  const { view } = await prepareEvaluation(opened, { config: run!.config, otherData: false });
  const [batch] = view.evalBatches("test", { batchSize: count, length, limit: count });
  const found = batch!.weights!.toNumbers().filter((weight) => weight > 0).length;
  if (found < count) throw new UsageError(`--pictures: the test has ${found} pictures to begin with, got ${count}`);
  return batch!.pictures!.toNumbers();
}

/** The given pictures, dark where they are to be completed. */
function shownPart({ pictures, isKept }: NonNullable<WriteOptions["given"]>): number[] {
  return Array.from(pictures, (value, at) => (isKept[at % isKept.length] ? value : 0));
}
