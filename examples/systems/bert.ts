// BERT: tells hidden words from what stands on both sides of them. The plain model is asked for the same, and sees one side.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems.bert.presets.small;
// Its network is a little wider in place of the head's dense layer and the segments.
const oneSided = { ...run.model, kind: "gpt", ffnWidth: 274 };

await prove("bert", async ({ run: trained, scored, say }) => {
  const learn = async (name: string, model: NonNullable<RunConfigInput["model"]>, learningRate: number) => {
    const done = await trained(`${name}-${learningRate}`, { ...run, model, learningRate });
    const score = await scored(done, { limit: 16_384 });
    say(`${name} at ${learningRate}: ${score.loss.toFixed(4)}`);
    return { ...score, parameters: countParameters(done.params) };
  };
  const ours = await learn("both-sides", run.model, run.learningRate!);
  const rates = [run.learningRate!, 2 * run.learningRate!];
  const plains = [];
  for (const rate of rates) plains.push(await learn("one-side", oneSided, rate));
  const plain = plains.reduce((a, b) => (b.loss < a.loss ? b : a));
  return resultOf({
    measure: "nats per hidden word of English-like text, 15 % of which is hidden",
    better: "less",
    ours: ours.loss,
    plain: plain.loss,
    plainIs: `a GPT-2 of the same width that fills in from what stands before, ${plain.parameters} parameters, the better of two learning rates`,
    target: 1.4,
    size: `2 layers of 64, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} × ${run.length} words`,
    paper: "BERT-Base without next sentences 83.9 on MNLI, the same from left to right 82.1 (table 5)",
    figures: {
      "hidden words told rightly": ours.totals.correct! / ours.totals.tokens,
      "by the one-sided model": plain.totals.correct! / plain.totals.tokens,
    },
  });
});
