// Synthesizer: a decoder whose positions also write weights of their own learns more of a text in the same steps than dot products alone do.
import { existsSync } from "node:fs";
import { systems } from "tsformers/catalogue";
import { countParameters } from "tsformers/run";
import { MissingData, prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const data = "../shared/data/tinyshakespeare/input.txt";
const seeds = [0, 1];
const { run } = systems["mixed-synthesizer"].presets.small;
const task = { kind: "text", data };

const { mixer: _, ...gpt } = run.model;

/** The other members, with feed-forward networks of widths at which all have as many parameters. */
const others: Record<string, typeof run.model> = {
  "dense alone": { ...systems["dense-synthesizer"].presets.small.run.model, ffnWidth: 320 },
  "random alone": systems["random-synthesizer"].presets.small.run.model,
  "factorised random alone": { ...gpt, ffnWidth: 352, mixer: { kind: "synthesizer", logits: ["factorised table"] } },
  "random mixed with dot products": {
    ...gpt,
    ffnWidth: 192,
    mixer: { kind: "synthesizer", logits: ["table", "dot product"], mixture: "softmax" },
  },
};

await prove("synthesizer", async ({ run: trained, scored, say }) => {
  if (!existsSync(data)) throw new MissingData(`plays: expected ${data}`);
  const bitsOf = async (name: string, changed: Partial<typeof run>) => {
    const done = await trained(name, { ...run, task, ...changed });
    const bits = (await scored(done)).loss / Math.LN2;
    const parameters = countParameters(done.params);
    say(`${name}: ${bits.toFixed(3)} bits, ${parameters} parameters`);
    return { bits, parameters };
  };
  const ofSeeds = async (name: string, changed: Partial<typeof run>) => {
    const each = [];
    for (const seed of seeds) each.push(await bitsOf(`${name}, seed ${seed}`, { ...changed, seed }));
    return { bits: each.reduce((sum, { bits }) => sum + bits, 0) / seeds.length, parameters: each[0]!.parameters };
  };
  const ours = await ofSeeds("ours", {});
  const figures: Record<string, number> = {};
  for (const [name, model] of Object.entries(others)) figures[`${name}, seed 0`] = (await bitsOf(name, { model })).bits;
  const plain = [];
  for (const learningRate of [run.learningRate!, 2 * run.learningRate!])
    plain.push(await ofSeeds(`plain at ${learningRate}`, { model: { ...gpt, ffnWidth: 320 }, learningRate }));
  const best = plain.reduce((a, b) => (a.bits <= b.bits ? a : b));
  return resultOf({
    measure: "bits per character, Shakespeare's plays, a mixture of dense logits and dot products, mean of two seeds",
    better: "less",
    ours: ours.bits,
    plain: best.bits,
    plainIs: `a GPT-2 with ${best.parameters} parameters, the better of two learning rates`,
    target: best.bits - 0.05,
    size: `2 layers of 64, ${ours.parameters} parameters, ${run.steps} steps of ${run.batchSize} × ${run.length} characters`,
    figures,
    paper:
      "translation from English to German: 28.47 BLEU by a table mixed with dot products, 27.67 by the Transformer",
  });
});
