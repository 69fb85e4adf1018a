// Set Transformer: counts how many different handwritten characters a set of pictures has, of characters that it has never seen.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { idleParameters, meanOfElements } from "../harness/mean-of-elements.ts";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/omniglot";
const { run } = systems["set-transformer"].presets.small;
const ours = { kind: "set-transformer", layers: 2, modelWidth: 64, heads: 4, points: 0, decoderLayers: 0 };

await prove("set-transformer-counting", async ({ run: trained, scored }) => {
  if (!existsSync(data)) throw new MissingData(`characters of Omniglot: expected ${data}`);
  const bestOf = async (name: string, model: NonNullable<RunConfigInput["model"]>) => {
    const found: { right: number; parameters: number }[] = [];
    for (const learningRate of [1e-3, 3e-3]) {
      const task = { kind: "unique-characters", data };
      const settings = { ...run, task, model, length: 10, steps: 800, batchSize: 16, learningRate };
      const done = await trained(`${name}-${learningRate}`, settings);
      const { totals } = await scored(done, { limit: 2048 });
      found.push({ right: totals.correct! / totals.tokens, parameters: countParameters(done.params) });
    }
    return found.sort((a, b) => b.right - a.right)[0]!;
  };
  const best = await bestOf("ours", ours);
  const mean = await bestOf("plain", meanOfElements);
  assert.ok(Math.abs((mean.parameters - idleParameters) / best.parameters - 1) < 0.02);
  return resultOf({
    measure: "share of sets whose number of different characters is told right, 6 to 10 pictures of unseen characters",
    better: "more",
    ours: best.right,
    plain: mean.right,
    plainIs:
      "networks that read each picture by itself, and one that reads the mean of what they give, as many parameters in use",
    target: mean.right + 0.05,
    size: `3 convolutions, 2 blocks of 64 without inducing points, pooled by one seed, ${best.parameters} parameters, 800 steps of 16 sets, the better of two learning rates`,
    paper: "Set Transformer 0.60 with 1,200 characters to learn from, 234 here",
  });
});
