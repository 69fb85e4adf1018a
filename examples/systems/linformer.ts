// Linformer: from 784 pixels it learns to tell digits with a share of full attention's operations, and its cost grows with the length alone.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";
import { stepCost } from "../harness/step-cost.ts";

const data = "../shared/data/mnist10k";
const { run } = systems.linformer.presets.small;
const task = { ...run.task, kind: "pixels", data };
const { mixer, ...bert } = run.model;
// A wider feed-forward network stands in for E.
const full = { ...bert, ffnWidth: 224 };
const local = { ...full, pattern: { kind: "window", before: 16, after: 16 } };

await prove("linformer", async ({ run: trained, scored, say }) => {
  if (!existsSync(data)) throw new MissingData(`handwritten digits: expected ${data}`);
  const shareOf = async (name: string, model: typeof run.model, steps = run.steps!) => {
    const done = await trained(name, { ...run, task, model, steps });
    const { totals } = await scored(done);
    const right = totals.correct! / totals.tokens;
    say(`${name}: ${right.toFixed(3)} right after ${steps} steps`);
    return { right, parameters: countParameters(done.params) };
  };
  const flopsOf = (model: typeof run.model) => stepCost({ ...run, task, model }).flops;
  const steps = Math.round((run.steps! * flopsOf(run.model)) / flopsOf(full));
  const ours = await shareOf("ours", run.model);
  const dense = await shareOf("as many operations", full, steps);
  // A window of as many keys as there are slots takes as many operations in as many steps.
  const near = await shareOf("window", local);
  const plain = Math.max(dense.right, near.right);

  /** Of a row of text, with 128 slots, over that of full attention. */
  const timeAt = (length: number): number => {
    const of = (model: typeof run.model) =>
      stepCost({ model, task: { kind: "text" }, objective: { kind: "masked" }, length, batchSize: 1 }).seconds;
    return Number((of({ ...run.model, mixer: { ...(mixer as object), slots: 128 } }) / of(bert)).toFixed(2));
  };
  return resultOf({
    measure: "share of handwritten digits told right, pixel by pixel",
    better: "more",
    ours: ours.right,
    plain,
    plainIs: `BERT with ${dense.parameters} parameters and as many operations, the better of full attention and of a window of 32`,
    target: plain + 0.1,
    size: `2 layers of 64, 32 slots for 784 pixels, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} pictures`,
    figures: {
      "BERT with a window of 32, after as many steps": near.right,
      [`BERT with full attention, after ${steps} steps, which take as many operations`]: dense.right,
      "processor time of a training step with 128 slots, over BERT's, at 1,024 positions": timeAt(1024),
      "the same at 4,096": timeAt(4096),
    },
    paper: "92.30 on average over four tasks (512 positions, 256 slots), RoBERTa-base 92.25",
  });
});
