// Image Transformer: draws pictures of 16 × 16 from pictures of 4 × 4 (super-resolution), an encoder over the small one beside local attention.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Concrete } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import { encodePng } from "tsformers/node";
import { dimensionsOf, enlargedPictures, sheetOf, shrunkPictures, writePictures } from "tsformers/pictures";
import { countParameters } from "tsformers/run";
import { MissingData, prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/crawl_tiles32";
const { run } = systems["image-transformer"].presets.small;
const settings = { ...run, task: { kind: "pictures", data, size: 16 }, length: 768, steps: 300, batchSize: 8 };
const ours = { ...run.model, layers: 2, encoderLayers: 2, inputSize: 4 };
// Without a small picture: as many layers, all of which draw, and networks so wide that it has as many parameters.
const plain = { ...run.model, layers: 4, ffnWidth: 289 };

/** The values of 256 pictures of a split. */
function picturesOf({ run: { view, config } }: Trained, split: "valid" | "test"): number[] {
  const batches = view.evalBatches(split, { batchSize: 64, length: config.length, limit: 256 });
  return [...batches].flatMap(({ pictures }) => pictures!.toNumbers());
}

await prove("image-super-resolution", async ({ run: trained, scored, device, folder, say }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of tiles: expected ${data}`);
  const bitsOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...settings, model });
    return { done, bits: (await scored(done)).loss / Math.LN2, parameters: countParameters(done.params) };
  };
  const larger = await bitsOf("ours", ours);
  const alone = await bitsOf("plain", plain);
  assert.ok(Math.abs(alone.parameters / larger.parameters - 1) < 0.02);

  const { model } = larger.done.run;
  if (model.category !== "picture" || model.input === undefined) throw new Error("expected a model of larger pictures");
  const { input, shape } = model;
  // Nearest neighbour: each value tells a logistic distribution about the value that covers it, of the scale that suits pictures of the validation best.
  const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
  const nearestBits = (pictures: readonly number[], scale: number): number => {
    const near = enlargedPictures(shrunkPictures(pictures, shape, input), input, shape);
    const losses = pictures.map((value, i) => {
      const upper = value === 255 ? 1 : logistic((value + 0.5 - near[i]!) / scale);
      const lower = value === 0 ? 0 : logistic((value - 0.5 - near[i]!) / scale);
      return -Math.log2(Math.max(upper - lower, 1e-12));
    });
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
  const [valid, test] = [picturesOf(larger.done, "valid"), picturesOf(larger.done, "test")];
  const scales = [4, 8, 12, 16, 20, 24].sort((a, b) => nearestBits(valid, a) - nearestBits(valid, b));
  const nearest = nearestBits(test, scales[0]!);

  const shown = test.slice(0, 12 * dimensionsOf(shape));
  const small = shrunkPictures(shown, shape, input);
  const drawn = await writePictures(model, larger.done.params as Concrete<unknown>, { device, count: 12, small });
  const sheet = sheetOf([...enlargedPictures(small, input, shape), ...drawn, ...shown], shape, 12);
  writeFileSync(join(folder, "drawn.png"), encodePng(sheet.values, sheet));
  say(`what was given, drawn, and what it was: ${join(folder, "drawn.png")}`);
  const best = Math.min(alone.bits, nearest);
  return resultOf({
    measure: "bits per dimension, tiles of 16 × 16 in colours drawn from 4 × 4",
    better: "less",
    ours: larger.bits,
    plain: best,
    plainIs: `the better of a decoder without an encoder (${alone.parameters} parameters) and nearest neighbour with logistic distributions`,
    target: best - 0.1,
    size: `2 layers of 64 that read and 2 that draw, ${larger.parameters} parameters, ${settings.steps} steps of ${settings.batchSize} pictures`,
    paper:
      "CelebA, 8 × 8 to 32 × 32: people took its pictures for real ones three times as often as those of the best model before",
    figures: { "without an encoder": alone.bits, "nearest neighbour": nearest },
  });
});
