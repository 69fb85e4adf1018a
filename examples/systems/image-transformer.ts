// Image Transformer: block by block, pixels told by discretised logistics are likelier than the channels that a plain decoder tells as classes.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Concrete } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import { encodePng } from "tsformers/node";
import { sheetOf, writePictures } from "tsformers/pictures";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/crawl_tiles32";
const { run } = systems["image-transformer"].presets.small;
const task = { ...run.task, kind: "pictures", data };
const { layers, modelWidth, heads, ffnWidth } = run.model as { kind: string } & Record<string, number>;
// Every step sees all before it. Weights that suit the width: with the usual 0.02 it learns later.
const plain = { kind: "gpt", layers, modelWidth, heads, ffnWidth, initializerRange: 0.06 };

await prove("image-transformer", async ({ run: trained, scored, device, folder, say }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of tiles: expected ${data}`);
  const bitsOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...run, task, model });
    const score = await scored(done);
    return { ...done, bits: score.loss / Math.LN2 };
  };
  const ours = await bitsOf("ours", run.model);
  const decoder = await bitsOf("plain", plain);

  const { model } = ours.run;
  if (model.category !== "picture") throw new Error("expected a model of pictures");
  const drawn = await writePictures(model, ours.params as Concrete<unknown>, { device, count: 36 });
  const sheet = sheetOf(drawn, model.shape, 6);
  writeFileSync(join(folder, "drawn.png"), encodePng(sheet.values, sheet));
  say(`36 pictures are in ${join(folder, "drawn.png")}`);
  return resultOf({
    measure: "bits per dimension, tiles of 8 × 8 in colours",
    better: "less",
    ours: ours.bits,
    plain: decoder.bits,
    plainIs: `a GPT-2 of the same width that sees all channels before, ${countParameters(decoder.params)} parameters`,
    target: decoder.bits - 0.06,
    size: `${layers} layers of ${modelWidth}, ${countParameters(ours.params)} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    paper: "2.90 on CIFAR-10 (DMOL), PixelCNN++ 2.92",
  });
});
