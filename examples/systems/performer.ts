// Performer: goes on from a trained softmax model. Its random features estimate the same attention, so that the parameters fit as they are, and a
// short fine-tuning does the rest.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/flip_secondary_structure/splits.zip";
const { run } = systems.performer.presets.small;
const task = { ...run.task, kind: "proteins", data };
const softmax = { ...run.model, mixer: { kind: "softmax" } };
/** An eighth of what the softmax model took. */
const tuning = run.steps! / 8;

await prove("performer", async ({ run: trained, scored }) => {
  if (!existsSync(data)) throw new MissingData(`proteins: expected ${data}`);
  const rightOf = async (name: string, changed: Partial<RunConfigInput>) => {
    const done = await trained(name, { ...run, task, ...changed });
    const { totals } = await scored(done, { limit: 16_384 });
    return { ...done, right: totals.correct! / totals.tokens };
  };
  const source = await rightOf("softmax", { model: softmax });
  const taken = { from: source.directory, steps: tuning };
  // At this rate no parameter moves.
  const atOnce = await rightOf("at once", { ...taken, steps: 1, learningRate: 1e-12 });
  const ours = await rightOf("ours", taken);
  const scratch = await rightOf("plain", { steps: tuning });
  const other = { ...run.model, mixer: { kind: "performer", features: 256, kernel: "relu" } };
  const relu = await rightOf("relu", { ...taken, model: other });
  return resultOf({
    measure: "share of residues whose structure is told right, FLIP's proteins, Performer from a softmax model",
    better: "more",
    ours: ours.right,
    plain: scratch.right,
    plainIs: `the same Performer from new parameters, as many steps`,
    target: scratch.right + 0.04,
    size: `2 layers of 64, ${countParameters(source.params)} parameters, ${run.steps} steps with softmax, then ${tuning} of ${run.batchSize} rows of ${run.length}`,
    figures: {
      "the softmax model": source.right,
      "the Performer before it is tuned": atOnce.right,
      "the ReLU kernel, from the softmax model, tuned as long": relu.right,
    },
    paper: "LM1B: accuracy 0.07 at once, and that of the Transformer again after a small part of its steps (§4.3)",
  });
});
