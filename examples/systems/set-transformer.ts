// Set Transformer: tells the mixture of Gaussians that a set of points comes from, in one pass. Each component is asked for by a seed of its own.
import assert from "node:assert/strict";
import { randomKey } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["set-transformer"].presets.small;

await prove("set-transformer", async ({ run: trained, scored }) => {
  const loss = async (of: Trained, length = of.run.config.length): Promise<number> => {
    const { totals } = await scored(of, { lengths: [length], limit: 1024 });
    return totals.lossSum / totals.tokens;
  };
  const learn = (name: string, model: RunConfigInput["model"], learningRate = run.learningRate!) =>
    trained(name, { ...run, model: model!, learningRate });
  const ours = await learn("ours", run.model);
  const count = countParameters(ours.run.objective.init(randomKey(0)));
  // Full attention without positions, whose mean is read by one head: as many parameters.
  const plainModel = { kind: "bert", layers: 3, modelWidth: 64, heads: 4, ffnWidth: 512, position: { kind: "none" } };
  const plain: number[] = [];
  for (const rate of [1e-3, 3e-3]) {
    const other = await learn(`plain-${rate}`, plainModel, rate);
    assert.ok(Math.abs(countParameters(other.run.objective.init(randomKey(0))) / count - 1) < 0.02);
    plain.push(await loss(other));
  }
  return resultOf({
    measure: "nats a point, mixtures of four Gaussians told from 32 to 64 points",
    better: "less",
    ours: await loss(ours),
    plain: Math.min(...plain),
    plainIs: "BERT without positions, whose mean is read by one head, the better of two learning rates",
    target: 2.2,
    size: `2 blocks of 64 with 16 inducing points, ${count} parameters, ${run.steps} steps of ${run.batchSize} sets`,
    paper: "mixtures of four, 100 to 500 points: the log-likelihood under the true mixture is −1.4788",
    figures: { "the same for sets of up to 256 points": await loss(ours, 256) },
  });
});
