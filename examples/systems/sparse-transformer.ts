// Sparse Transformer: of pictures read pixel by pixel it learns more than a plain decoder does with as many operations, and as much in as many steps.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/crawl_tiles32";
const { run } = systems["sparse-transformer"].presets.small;
const task = { ...run.task, kind: "pictures", data };
const { layers, modelWidth, heads, ffnWidth } = run.model as { kind: string } & Record<string, number>;
// Weights that suit the width.
const plain = { kind: "gpt", layers, modelWidth, heads, ffnWidth, initializerRange: 0.06 };

await prove("sparse-transformer", async ({ run: trained, scored }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of tiles: expected ${data}`);
  const bitsOf = async (name: string, model: typeof run.model, steps = run.steps!) => {
    const done = await trained(name, { ...run, task, model, steps });
    const score = await scored(done);
    return { bits: score.loss / Math.LN2, parameters: countParameters(done.params) };
  };
  const ours = await bitsOf("ours", run.model);
  // With 21 times as many pairs a step of it takes 2.5 times as many multiplications.
  const steps = Math.round(run.steps! / 2.5);
  const dense = await bitsOf("as many operations", plain, steps);
  const longer = await bitsOf("plain", plain);
  return resultOf({
    measure: "bits per dimension, tiles of 32 × 32 in grey",
    better: "less",
    ours: ours.bits,
    plain: dense.bits,
    plainIs: `a GPT-2 of the same width that sees all pixels before, ${dense.parameters} parameters, ${steps} steps, which take as many operations`,
    target: dense.bits - 0.05,
    size: `${layers} layers of ${modelWidth}, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    figures: { "the plain model after as many steps, 2.5 times the operations": longer.bits },
    paper: "2.80 on CIFAR-10, 2.82 by full attention, which took 1.4 times as long",
  });
});
