// BERT: tells hidden characters of Shakespeare from what stands on both sides. The plain model is asked for the same, and sees one side.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/tinyshakespeare/input.txt";
const { run } = systems.bert.presets.small;
// Its network is a little wider in place of the head's.
const oneSided = { ...run.model, kind: "gpt", ffnWidth: 274 };

await prove("bert", async ({ run: trained, scored }) => {
  if (!existsSync(data)) throw new MissingData(`Shakespeare's plays: expected ${data}`);
  const task = { kind: "text", data };
  const learn = async (name: string, model: NonNullable<RunConfigInput["model"]>, objective = "masked") => {
    const done = await trained(name, { ...run, task, model, objective: { kind: objective }, evalEvery: 300 });
    const score = await scored(done, { limit: 4096 });
    return { ...score, parameters: countParameters(done.params) };
  };
  const ours = await learn("both sides", run.model);
  const plain = await learn("one side", oneSided);
  return resultOf({
    measure: "nats per hidden character of Shakespeare's plays, 15 % of which are hidden",
    better: "less",
    ours: ours.loss,
    plain: plain.loss,
    plainIs: `a GPT-2 of the same width that fills in from what stands before, ${plain.parameters} parameters`,
    target: plain.loss - 0.1,
    size: `2 layers of 64, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} × ${run.length} characters`,
    paper: "BERT-Base without next sentences 83.9 on MNLI, the same from left to right 82.1 (table 5)",
    figures: {
      "hidden characters told rightly": ours.totals.correct! / ours.totals.tokens,
      "by the one-sided model": plain.totals.correct! / plain.totals.tokens,
    },
  });
});
