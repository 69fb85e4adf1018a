import type { Concrete, Device } from "@tsformers/engine";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { encodePng } from "../io/png.ts";
import { dimensionsOf, type PictureModel } from "../pictures/picture-model.ts";
import { sheetOf } from "../pictures/sheet.ts";
import { type WriteOptions, writePictures } from "../pictures/write-pictures.ts";
import { kebab } from "../run/flags.ts";
import type { OpenedModel } from "../run/open-model.ts";
import { prepareEvaluation } from "../run/prepare-evaluation.ts";
import { present } from "../schema/present.ts";
import { UsageError } from "./exit.ts";
import type { GenerateFlags } from "./generate-settings.ts";
import type { Terminal } from "./terminal.ts";

const ofText = [
  "prompt",
  "promptFile",
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

/** Default of `--pictures`. */
export const usualPictures = 16;

/** @throws UsageError for flags that would do nothing, and where there is no file to write to */
export function requirePictureFlags(flags: GenerateFlags): void {
  const idle = ofText.find((name) => flags[name] !== undefined);
  if (idle !== undefined) throw new UsageError(`--${kebab(idle)} would do nothing: this model draws pictures`);
  if (flags.temperature !== undefined && !(flags.temperature > 0))
    throw new UsageError(`--temperature: a model of pictures needs more than 0, got ${flags.temperature}`);
  if (flags.output === undefined)
    throw new UsageError("a model of pictures writes a PNG: give the file, with --output pictures.png");
}

/** Draws pictures, or the lower halves of test pictures, and writes them as one PNG. */
export async function generatePictures(
  opened: OpenedModel & { readonly model: PictureModel },
  flags: GenerateFlags,
  { terminal, device, signal }: { readonly terminal: Terminal; readonly device: Device; readonly signal: AbortSignal },
): Promise<void> {
  requirePictureFlags(flags);
  const { model } = opened;
  const { output, pictures: count = usualPictures, temperature, seed } = flags;
  const start = performance.now();
  const given = flags.complete ? await upperHalves(opened, count) : undefined;
  const options: WriteOptions = { device, count, signal, ...present({ temperature, seed, given }) };
  const drawn = await writePictures(model, opened.params as Concrete<unknown>, options);
  const sheet =
    given === undefined
      ? sheetOf(drawn, model.shape, Math.ceil(Math.sqrt(count)))
      : sheetOf([...shownPart(given), ...drawn, ...Array.from(given.pictures)], model.shape, count);
  await writeFileAtomic(output!, encodePng(sheet.values, sheet));
  const seconds = (performance.now() - start) / 1000;
  if (flags.json) return terminal.out(JSON.stringify({ output, pictures: count, seconds }, null, 2));
  terminal.out(
    given === undefined
      ? `${output}: ${count} pictures`
      : `${output}: ${count} pictures; what was given, what was drawn, and what it was`,
  );
}

/** Pictures of the test, of which the upper half is kept. */
async function upperHalves(
  opened: OpenedModel & { readonly model: PictureModel },
  count: number,
): Promise<NonNullable<WriteOptions["given"]>> {
  const { model, run, length } = opened;
  const { view } = await prepareEvaluation(opened, { config: run!.config, otherData: false });
  const [batch] = view.evalBatches("test", { batchSize: count, length, limit: count });
  const pictures = batch!.pictures!.toNumbers();
  const found = batch!.weights!.toNumbers().filter((weight) => weight > 0).length;
  if (found < count) throw new UsageError(`--pictures: the test has ${found} pictures to complete, got ${count}`);
  const dimensions = dimensionsOf(model.shape);
  const kept = Math.ceil(model.shape.rows / 2) * model.shape.columns * model.shape.channels;
  return { pictures, isKept: Array.from({ length: dimensions }, (_, place) => place < kept) };
}

/** The given pictures, dark where they are to be completed. */
function shownPart({ pictures, isKept }: NonNullable<WriteOptions["given"]>): number[] {
  return Array.from(pictures, (value, at) => (isKept[at % isKept.length] ? value : 0));
}
