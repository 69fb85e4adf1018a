// Linear Transformer: of pictures read pixel by pixel it learns more than softmax attention does with as many operations, and draws at a cost that
// stays the same from the first pixel to the last.
import { existsSync } from "node:fs";
import type { Concrete } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import { type PictureModel, writePictures } from "tsformers/pictures";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/mnist10k";
const { run } = systems["linear-transformer"].presets.small;
const task = { ...run.task, kind: "pictures", data };
const softmax = { ...run.model, mixer: { kind: "softmax" } };
/** Multiplications of a layer for a position: projections and network of both, and either n/2 keys and values or two products with the sums. */
const ofLayer = (mixing: number) => 8 * 64 * 64 + mixing;
const [ofLinear, ofSoftmax] = [ofLayer(2 * 64 * 16), ofLayer(784 * 64)];

await prove("linear-transformer", async ({ run: trained, scored, device, say }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of digits: expected ${data}`);
  const bitsOf = async (
    name: string,
    model: typeof run.model,
    steps = run.steps!,
    learningRate = run.learningRate!,
  ) => {
    const done = await trained(name, { ...run, task, model, steps, learningRate });
    const { loss } = await scored(done, { limit: 128 * 784 });
    say(`${name}: ${(loss / Math.LN2).toFixed(3)}`);
    return { ...done, bits: loss / Math.LN2 };
  };
  const ours = await bitsOf("ours", run.model);
  const steps = Math.round((run.steps! * ofLinear) / ofSoftmax);
  const plain = [await bitsOf("plain", softmax, steps), await bitsOf("plain, half the rate", softmax, steps, 2e-3)];
  const best = Math.min(...plain.map(({ bits }) => bits));
  const longer = await bitsOf("as many steps", softmax);
  /** Seconds for 16 pictures, all at once. */
  const drawing = async ({ run: { model }, params }: typeof ours): Promise<number> => {
    const draw = () =>
      writePictures(model as unknown as PictureModel<unknown>, params as Concrete<unknown>, {
        device,
        count: 16,
        seed: 1,
      });
    await draw();
    const from = performance.now();
    await draw();
    return (performance.now() - from) / 1000;
  };
  const [seconds, ofPlain] = [await drawing(ours), await drawing(longer)];
  return resultOf({
    measure: "bits per dimension, digits of 28 × 28 in grey",
    better: "less",
    ours: ours.bits,
    plain: best,
    plainIs: `softmax attention in its place, as many parameters, ${steps} steps, which take as many operations; the better of two learning rates`,
    target: best - 0.05,
    size: `2 layers of 64, ${countParameters(ours.params)} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    figures: {
      "softmax attention after as many steps": longer.bits,
      "seconds to draw 16 pictures, 784 pixels one after the other": seconds,
      "the same with softmax attention": ofPlain,
    },
    paper: "MNIST: 0.644 bits, softmax 0.621; 142.8 pictures a second against 0.45",
  });
});
