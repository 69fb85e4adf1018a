// Universal Transformer: one block, six times, follows pointers better than one layer as wide, and than six narrow ones, with as many parameters.
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["universal-transformer"].presets.small;
const { modelWidth, layers, heads } = run.model as unknown as Record<string, number>;
const gpt = { kind: "gpt", heads };
// Feed-forward networks that make up for what one model or the other spends elsewhere, and weights that suit the width. Of the rates 1.5e-3 and
// 3e-3 each model has the one that is better for it.
const wide = { ...gpt, layers: 1, modelWidth, ffnWidth: 247, initializerRange: 0.06 };
const narrow = { ...gpt, layers, modelWidth: 24, ffnWidth: 126, initializerRange: 0.1 };

await prove("universal-transformer", async ({ run: trained, scored }) => {
  const scoreOf = async (name: string, model: typeof run.model, learningRate = run.learningRate) => {
    const done = await trained(name, { ...run, model, ...(learningRate !== undefined && { learningRate }) });
    const score = await scored(done);
    const { correct = 0, exactRows = 0, tokens, rows } = score.totals;
    return { right: correct / tokens, rows: exactRows / rows, parameters: countParameters(done.params) };
  };
  const one = await scoreOf("wide", wide, 1.5e-3);
  const stack = await scoreOf("narrow", narrow);
  const ours = await scoreOf("ours", run.model);
  const oneIs = `one GPT-2 layer of the same width, ${one.parameters} parameters`;
  const stackIs = `${layers} GPT-2 layers of ${narrow.modelWidth}, ${stack.parameters} parameters`;
  const better = Math.max(one.right, stack.right);
  return resultOf({
    measure: "share of steps that are right, pointer chasing with up to three pointers a step",
    better: "more",
    ours: ours.right,
    plain: better,
    plainIs: one.right >= stack.right ? oneIs : stackIs,
    target: better + 0.1,
    size: `one block of ${modelWidth}, ${layers} steps, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} rows`,
    paper: "0.21 % of bAbI's questions wrong with 10,000 examples a task, 15.2 % by a Transformer",
    figures: {
      "walks without a mistake": ours.rows,
      [oneIs]: one.right,
      [stackIs]: stack.right,
    },
  });
});
