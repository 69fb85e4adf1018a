// Compressive Transformer: for the attention of a Transformer-XL it reaches further back, and predicts novels better.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/eltec_novels";
const { run } = systems["compressive-transformer"].presets.small;
const seed = 0;

await prove("compressive-transformer", async ({ run: trained, scores }) => {
  if (!existsSync(data)) throw new MissingData(`novels: no folder ${data} with train_*, valid_* and test_* files`);
  const bits = async (name: string, model: typeof run.model): Promise<number> => {
    const ready = await trained(name, { ...run, model, task: { kind: "text", data }, seed });
    const [score] = await scores(ready, { limit: 65_536 });
    if (score === undefined || !("loss" in score)) throw new Error(score?.missing);
    return score.loss / Math.LN2;
  };
  // As many memories to attend to, and a wider network in place of the convolutions.
  const plain = await bits("transformer-xl", {
    kind: "transformer-xl",
    layers: 2,
    modelWidth: 64,
    heads: 4,
    ffnWidth: 384,
    memoryLength: 8,
  });
  const ours = await bits("compressive", run.model);
  return resultOf({
    measure: "bits per character, novels",
    better: "less",
    ours,
    plain,
    plainIs: "a Transformer-XL that attends to as many memories, none of them compressed",
    target: plain - 0.03,
    size: "2 layers of 64, 0.15M parameters, 1,000 steps of 64 × 8 characters",
    paper: "0.97 bits per character on enwik8, Transformer-XL 0.98",
  });
});
