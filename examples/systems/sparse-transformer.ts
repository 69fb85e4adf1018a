// Sparse Transformer: of pictures read pixel by pixel it learns more in the same steps than a plain decoder, which computes 21 times as many pairs.
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

await prove("sparse-transformer", async ({ run: trained, scores }) => {
  if (!existsSync(data)) throw new MissingData(`pictures of tiles: expected ${data}`);
  const bitsOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...run, task, model });
    const [score] = await scores(done);
    if (score === undefined || !("loss" in score)) throw new Error(score?.missing);
    return { bits: score.loss / Math.LN2, parameters: countParameters(done.params) };
  };
  const ours = await bitsOf("ours", run.model);
  const dense = await bitsOf("plain", plain);
  return resultOf({
    measure: "bits per dimension, tiles of 32 × 32 in grey",
    better: "less",
    ours: ours.bits,
    plain: dense.bits,
    plainIs: `a GPT-2 of the same width that sees all pixels before, ${dense.parameters} parameters`,
    target: dense.bits - 0.03,
    size: `${layers} layers of ${modelWidth}, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    paper: "2.80 on CIFAR-10, 2.82 by full attention, which took 1.4 times as long",
  });
});
