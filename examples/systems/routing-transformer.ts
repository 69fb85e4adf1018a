// Routing Transformer: looks up values by keys that stand further back than local attention to as many keys sees: a key and its questions
// come into one cluster.
import { systems } from "tsformers/catalogue";
import { countParameters, type RunConfigInput } from "tsformers/run";
import { prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["routing-transformer"].presets.small;
const [convolution, routed] = run.model.mixer as { kind: string; window?: number; selfLogit?: number }[];
// Sees its own chunk and the one before: as many keys. Its keys have a matrix of their own: both networks are narrower.
const local = { ...run.model, mixer: [convolution, { kind: "local", chunk: routed!.window! / 2 }], ffnWidth: 112 };
const { selfLogit: _, ...published } = routed!;

await prove("routing-transformer", async ({ run: trained, scored }) => {
  const rightOf = async (of: Trained, length = run.length!): Promise<number> => {
    const { totals } = await scored(of, { lengths: [length] });
    return (totals.correct ?? 0) / totals.tokens;
  };
  const ours = await trained("ours", run);
  const right = await rightOf(ours);
  const [atTwice, atFour] = [await rightOf(ours, 2 * run.length!), await rightOf(ours, 4 * run.length!)];
  const plain: number[] = [];
  let parameters = 0;
  for (const learningRate of [run.learningRate!, 2 * run.learningRate!]) {
    const other = await trained(`local-${learningRate}`, { ...run, model: local, learningRate } as RunConfigInput);
    plain.push(await rightOf(other));
    parameters = countParameters(other.params);
  }
  /** Right values with another second layer. */
  const rightWith = async (name: string, mixer: object): Promise<number> =>
    rightOf(await trained(name, { ...run, model: { ...run.model, mixer: [convolution, mixer] } } as RunConfigInput));
  const itself = await rightWith("itself", published);
  const full = await rightWith("full", { kind: "softmax" });
  return resultOf({
    measure: "share of values that are right, of 16 keys told at least 34 tokens before",
    better: "more",
    ours: right,
    plain: Math.max(...plain),
    plainIs: `local attention to as many keys, ${parameters} parameters, the better of two learning rates`,
    target: 0.9,
    size: `2 layers of 64, ${countParameters(ours.params)} parameters, ${run.steps} steps of ${run.batchSize} rows of ${run.length}`,
    paper: "language: a perplexity of 15.8 against 18.3 on WikiText-103, 33.2 on PG-19",
    figures: {
      "in rows twice as long": atTwice,
      "in rows four times as long": atFour,
      "if tokens also weigh themselves, as published": itself,
      "full attention after as many steps": full,
    },
  });
});
