// Axial Transformer: at n√n pairs it tells each value from all before it, and draws faster than a sampler that looks at everything for each pixel.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Concrete } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import type { AxialTransformer } from "tsformers/models";
import { encodePng } from "tsformers/node";
import { sheetOf, writePictures } from "tsformers/pictures";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/crawl_tiles32";
const { run } = systems["axial-transformer"].presets.small;
const task = { ...run.task, kind: "pictures", data };
const { layers, modelWidth, heads } = run.model as { kind: string } & Record<string, number>;
// As many blocks as the three parts have; each value sees all before it, of all channels, at n² pairs. Weights that suit the width.
const plain = {
  kind: "gpt",
  layers: 3 * layers!,
  modelWidth,
  heads,
  ffnWidth: modelWidth,
  initializerRange: 0.06,
};

await prove("axial-transformer", async ({ run: trained, scored, device, folder, say }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of tiles: expected ${data}`);
  const bitsOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...run, task, model });
    const score = await scored(done);
    return { ...done, bits: score.loss / Math.LN2 };
  };
  const ours = await bitsOf("ours", run.model);
  const decoder = await bitsOf("plain", plain);

  const model = ours.run.model as unknown as AxialTransformer;
  const draw = async (outerPer: "row" | "pixel") => {
    const openWriter: typeof model.openWriter = (own, options) => model.openWriter(own, { ...options, outerPer });
    const start = performance.now();
    const drawn = await writePictures({ ...model, openWriter }, ours.params as Concrete<never>, { device, count: 16 });
    return { drawn, seconds: (performance.now() - start) / 1000 };
  };
  const [byRow, byPixel] = [await draw("row"), await draw("pixel")];
  if (String(byRow.drawn) !== String(byPixel.drawn)) throw new Error("both ways of drawing must draw the same");
  const sheet = sheetOf(byRow.drawn, model.shape, 4);
  writeFileSync(join(folder, "drawn.png"), encodePng(sheet.values, sheet));
  say(`16 pictures are in ${join(folder, "drawn.png")}`);
  return resultOf({
    measure: "bits per dimension, tiles of 8 × 8 in colours",
    better: "less",
    ours: ours.bits,
    plain: decoder.bits,
    plainIs: `a GPT-2 of as many blocks that sees all values before, ${countParameters(decoder.params)} parameters`,
    target: decoder.bits - 0.1,
    size: `3 × ${layers} blocks of ${modelWidth}, ${countParameters(ours.params)} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    paper: "3.76 on ImageNet at 32 × 32, Image Transformer 3.77",
    figures: {
      "seconds to draw 16 pictures, the rows above once in a row": byRow.seconds,
      "the same, at every pixel": byPixel.seconds,
      "times as fast": byPixel.seconds / byRow.seconds,
    },
  });
});
