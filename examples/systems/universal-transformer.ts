// Universal Transformer: one block, four times, reads commands that one block of the same size does not, with the same parameters.
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["universal-transformer"].presets.small;
const { modelWidth, heads } = run.model as { kind: string; modelWidth: number; heads: number };
// Weights that suit the width: with the usual 0.02 it learns later.
const plain = { kind: "gpt", layers: 1, modelWidth, heads, initializerRange: 0.06 };

await prove("universal-transformer", async ({ run: trained, scores }) => {
  const accuracyOf = async (name: string, model: typeof run.model) => {
    const done = await trained(name, { ...run, model });
    const [score] = await scores(done);
    if (score === undefined || !("loss" in score)) throw new Error(score?.missing);
    const { exactRows = 0, rows } = score.totals;
    return { right: exactRows / rows, loss: score.loss, parameters: countParameters(done.params) };
  };
  const one = await accuracyOf("plain", plain);
  const ours = await accuracyOf("ours", run.model);
  return resultOf({
    measure: "share of SCAN's commands (simple split) whose actions are all right",
    better: "more",
    ours: ours.right,
    plain: one.right,
    plainIs: `one GPT-2 layer of the same width, ${one.parameters} parameters`,
    target: one.right + 0.08,
    size: `one block of ${modelWidth}, 4 steps, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} rows`,
    paper: "0.21 % of bAbI's questions wrong with 10,000 examples a task, 15.2 % by a Transformer",
    figures: { loss: ours.loss, "loss of the plain model": one.loss },
  });
});
