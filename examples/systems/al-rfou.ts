// Al-Rfou's deep character model: a narrow stack of 12 layers learns sooner because every layer predicts.
import { systems } from "tsformers/catalogue";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["al-rfou"].presets.small;

await prove("al-rfou", async ({ run: trained, scored }) => {
  const bits = async (name: string, plain: boolean, learningRate = run.learningRate!): Promise<number> => {
    const score = await scored(await trained(name, { ...run, learningRate, model: { ...run.model, plain } }), {
      limit: 16_384,
    });
    return score.loss / Math.LN2;
  };
  // So deep a stack may only be slow to begin: it gets a second rate.
  const plain = Math.min(await bits("plain", true), await bits("plain-slower", true, run.learningRate! / 4));
  const ours = await bits("auxiliary", false);
  return resultOf({
    measure: "bits per character, grammar text",
    better: "less",
    ours,
    plain,
    plainIs: "the same stack, whose last layer alone predicts, at the better of two learning rates",
    target: 0.9 * plain,
    size: "12 layers of 48, 600 steps of 16 × 64 characters",
    paper: "1.11 bits per character on enwik8 with 12 layers, 1.06 with 64",
  });
});
