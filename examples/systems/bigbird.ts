// BigBird: made of a dense BERT and continued for a few steps, it answers questions about passages four times as long, of which BERT reads the
// beginning.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems.bigbird.presets.small;
const { layers, modelWidth, heads } = run.model as { kind: string } & Record<string, number>;
const [long, short] = [run.length!, run.length! / 4];
const [batchSize, steps] = [64, 300];
// Weights that suit the width.
const bert = { kind: "bert", layers, modelWidth, heads, initializerRange: 0.1 };

await prove("bigbird", async ({ run: trained, scored, say }) => {
  const learn = async (name: string, config: RunConfigInput) => {
    const done = await trained(name, { evalEvery: 200, evalTokens: 256, ...config });
    const { totals } = await scored(done, { limit: 1024 });
    const [exact, overlap] = [totals.exactRows! / totals.rows, totals.overlap! / totals.rows];
    say(`${name}: ${exact.toFixed(3)} exact, F1 ${overlap.toFixed(3)}`);
    return { exact, overlap, directory: done.directory, parameters: countParameters(done.params) };
  };
  const task = run.task!;
  const dense = await learn("dense", { model: bert, task, length: short, steps, batchSize, learningRate: 2e-3 });
  const goOn = { steps: run.steps!, learningRate: run.learningRate!, from: dense.directory };
  const ours = await learn("bigbird", { ...goOn, model: run.model, task, length: long, batchSize: run.batchSize! });
  // The same passages and as many tokens; what does not fit is not read.
  const passages = { ...task, passage: long - 9 };
  const plain = await learn("continued", { ...goOn, model: bert, task: passages, length: short, batchSize });
  return resultOf({
    measure: `share of questions about one sentence in a passage of ${long - 9} tokens that are answered exactly`,
    better: "more",
    ours: ours.exact,
    plain: plain.exact,
    plainIs: `the dense checkpoint continued for as many tokens, which reads the first ${short}`,
    target: plain.exact + 0.25,
    size: `${layers} layers of ${modelWidth}, ${ours.parameters} parameters (dense: ${plain.parameters}), ${run.steps} steps of ${run.batchSize} × ${long} tokens after ${steps} of the dense model`,
    paper: "HotpotQA, joint F1 of base models: RoBERTa 63.5, BigBird (ITC) 67.7 (table 2)",
    figures: {
      "F1 of words": ours.overlap,
      "the same of the dense model": plain.overlap,
      "the dense model on short passages": dense.exact,
    },
  });
});
