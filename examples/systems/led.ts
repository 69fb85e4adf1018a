// LED: made of the same model with full attention over short sources, and continued for a few steps, it writes what a passage four times as long
// says somewhere, of which the other reads the beginning.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems.led.presets.small;
const { layers, modelWidth } = run.model as { kind: string } & Record<string, number>;
const [long, short] = [run.length!, run.length! / 4];
const [batchSize, steps] = [64, 400];
// A window that covers the row on each side: full attention.
const full = { ...run.model, window: 2 * short };

await prove("led", async ({ run: trained, scored, say }) => {
  const learn = async (name: string, config: RunConfigInput) => {
    const done = await trained(name, { evalEvery: 200, evalTokens: 512, ...config });
    const { totals } = await scored(done, { limit: 2048 });
    const exact = totals.exactRows! / totals.rows;
    say(`${name}: ${exact.toFixed(3)} exact`);
    return { exact, directory: done.directory, parameters: countParameters(done.params) };
  };
  const task = run.task!;
  const dense = await learn("dense", { model: full, task, length: short, steps, batchSize, learningRate: 2e-3 });
  const goOn = { steps: run.steps!, learningRate: run.learningRate!, from: dense.directory };
  const ours = await learn("led", { ...goOn, model: run.model, task, length: long, batchSize: run.batchSize! });
  // The same passages and as many tokens; what does not fit is not read.
  const passages = { ...task, passage: long - 9 };
  const plain = await learn("continued", { ...goOn, model: full, task: passages, length: short, batchSize });
  return resultOf({
    measure: `share of answers that are written without a mistake, about one sentence in a passage of ${long - 9} tokens`,
    better: "more",
    ours: ours.exact,
    plain: plain.exact,
    plainIs: `the dense checkpoint continued for as many tokens of source, which reads the first ${short}`,
    target: plain.exact + 0.25,
    size: `2 × ${layers} layers of ${modelWidth}, ${ours.parameters} parameters (dense: ${plain.parameters}), ${run.steps} steps of ${run.batchSize} × ${long} tokens after ${steps} of the dense model`,
    paper: "arXiv summaries, ROUGE-1: 44.40 with sources of 4,096 tokens, 46.63 with 16,384 (table 11)",
    figures: { "the dense model on short passages": dense.exact },
  });
});
