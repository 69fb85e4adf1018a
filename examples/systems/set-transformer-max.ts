// Set Transformer: tells the largest of a set of real numbers, where a mean over elements that were read one by one is far from it.
import assert from "node:assert/strict";
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { idleParameters, meanOfElements } from "../harness/mean-of-elements.ts";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["set-transformer"].presets.small;
const ours = { kind: "set-transformer", layers: 2, modelWidth: 64, heads: 4, points: 0, decoderLayers: 0 };

await prove("set-transformer-max", async ({ run: trained, scored }) => {
  const bestOf = async (name: string, model: NonNullable<RunConfigInput["model"]>) => {
    const found: { error: number; longer: number; parameters: number }[] = [];
    for (const learningRate of [1e-3, 3e-3]) {
      const settings = { ...run, task: { kind: "max-regression" }, model, length: 10, steps: 800, batchSize: 64 };
      const done = await trained(`${name}-${learningRate}`, { ...settings, learningRate });
      const errorAt = async (length: number) => (await scored(done, { lengths: [length], limit: 4096 })).loss;
      const parameters = countParameters(done.params);
      found.push({ error: await errorAt(10), longer: await errorAt(20), parameters });
    }
    return found.sort((a, b) => a.error - b.error)[0]!;
  };
  const best = await bestOf("ours", ours);
  const mean = await bestOf("plain", meanOfElements);
  assert.ok(Math.abs((mean.parameters - idleParameters) / best.parameters - 1) < 0.02);
  return resultOf({
    measure: "mean absolute error of the largest of 1 to 10 numbers between 0 and 100",
    better: "less",
    ours: best.error,
    plain: mean.error,
    plainIs:
      "networks that read each number by itself, and one that reads the mean of what they give, as many parameters in use",
    target: mean.error / 2,
    size: `2 blocks of 64 without inducing points, pooled by one seed, ${best.parameters} parameters, 800 steps of 64 sets, the better of two learning rates`,
    paper: "Set Transformer 0.21, networks of elements and their mean 2.13",
    figures: { "of 1 to 20 numbers": best.longer, "of 1 to 20 numbers, the plain model": mean.longer },
  });
});
