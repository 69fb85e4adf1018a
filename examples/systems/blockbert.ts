// BlockBERT: filling in characters of rows of 1,024, it learns more than BERT does with as many operations.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";
import { stepCost } from "../harness/step-cost.ts";

const data = "../shared/data/tinyshakespeare/input.txt";
const { run } = systems.blockbert.presets.small;
const task = { kind: "text", data };
const { pattern, ...bert } = run.model;

await prove("blockbert", async ({ run: trained, scored, say }) => {
  if (!existsSync(data)) throw new MissingData(`plays: expected ${data}`);
  const lossOf = async (name: string, model: typeof run.model, steps = run.steps!) => {
    const done = await trained(name, { ...run, task, model, steps });
    const { loss } = await scored(done);
    say(`${name}: ${loss.toFixed(3)} nats after ${steps} steps`);
    return { loss, parameters: countParameters(done.params) };
  };
  const [ourStep, plainStep] = [run.model, bert].map((model) => stepCost({ ...run, task, model }));
  const steps = Math.round((run.steps! * ourStep!.flops) / plainStep!.flops);
  const ours = await lossOf("ours", run.model);
  const plain = await lossOf("as many operations", bert, steps);
  const longer = await lossOf("plain", bert);
  return resultOf({
    measure: "nats per hidden character, Shakespeare's plays in rows of 1,024",
    better: "less",
    ours: ours.loss,
    plain: plain.loss,
    plainIs: `BERT with ${plain.parameters} parameters, ${steps} steps, which take as many operations`,
    target: plain.loss - 0.2,
    size: `2 layers of 64, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} rows`,
    figures: {
      "BERT after as many steps": longer.loss,
      "operations of a training step, over BERT's": ourStep!.flops / plainStep!.flops,
      "processor time of a training step, over BERT's": share(ourStep!.seconds, plainStep!.seconds),
      "memory of a training step, over BERT's": share(ourStep!.bytes, plainStep!.bytes),
    },
    paper: "12.0 to 25.1 % less time and 18.7 to 36.1 % less memory to train than RoBERTa, and answers as good",
  });
});

/** In two digits: it is measured. */
function share(ours: number, plain: number): number {
  return Number((ours / plain).toFixed(2));
}
