// Longformer: made of a dense BERT and continued for a few steps, it fills in words of texts four times as long better than BERT does piece by
// piece, though that is continued for as many tokens.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems.longformer.presets.small;
const { layers, modelWidth, heads } = run.model as { kind: string } & Record<string, number>;
const [long, short] = [run.length!, run.length! / 4];
// Weights that suit the width.
const bert = { kind: "bert", layers, modelWidth, heads, initializerRange: 0.075 };

await prove("longformer", async ({ run: trained, scored, say }) => {
  const lossOf = async (name: string, config: RunConfigInput) => {
    const done = await trained(name, config);
    const length = config.length!;
    const { loss } = await scored(done, { lengths: [length], batchTokens: 2048, limit: 16_384 });
    say(`${name}: ${loss.toFixed(4)}`);
    return { loss, directory: done.directory, parameters: countParameters(done.params) };
  };
  const task = run.task!;
  const batchSize = 4 * run.batchSize!;
  const dense = await lossOf("dense", { model: bert, task, length: short, steps: 1000, batchSize, learningRate: 2e-3 });
  const goOn = { task, steps: run.steps!, learningRate: run.learningRate!, from: dense.directory };
  const ours = await lossOf("longformer", { ...goOn, model: run.model, length: long, batchSize: run.batchSize! });
  const plain = await lossOf("continued", { ...goOn, model: bert, length: short, batchSize });
  // What it is before it has learned anything at its length.
  const idle = { ...goOn, model: run.model, length: long, batchSize: run.batchSize!, steps: 1, learningRate: 1e-9 };
  const untrained = await lossOf("lengthened", idle);
  return resultOf({
    measure: `nats per hidden word, English-like text of ${long} words a row`,
    better: "less",
    ours: ours.loss,
    plain: plain.loss,
    plainIs: `the dense checkpoint continued for as many tokens, which reads the rows in pieces of ${short} words`,
    target: plain.loss - 0.05,
    size: `${layers} layers of ${modelWidth}, ${ours.parameters} parameters (dense: ${plain.parameters}), ${run.steps} steps of ${run.batchSize} × ${long} words after 1000 of the dense model`,
    paper:
      "bits per character of RoBERTa 1.846; as Longformer, before training 1.957, after 2,000 steps 1.753 (table 5)",
    figures: {
      "the dense checkpoint before it is continued": dense.loss,
      "the Longformer made of it, before training": untrained.loss,
    },
  });
});
