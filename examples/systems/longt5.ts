// LongT5: fills in a form from a source of which T5, at the same cost, can read two fifths.
import assert from "node:assert/strict";
import { type RandomKey, randomKey } from "@tsformers/engine";
import { longT5, t5 } from "tsformers/models";
import { type FeedForward, gatedMlp, geluTanh, type Head, linearHead } from "tsformers/nn";
import { sequenceToSequenceObjective } from "tsformers/objectives";
import { countParameters } from "tsformers/run";
import { causalRow, generatedRows, type PairRow, pairsForm, rowsView } from "tsformers/tasks";
import { adamw, warmupCosine } from "tsformers/train";
import { formIn, vocabularySize } from "../harness/fields.ts";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const length = 128;
const [radius, block] = [4, 8];
// T5 of the same layers compares as many pairs in a source of so many tokens.
const affordable = Math.round(Math.sqrt(length * (2 * radius + 1 + length / block)));

/** The last tokens of a source, and the form. */
function row(random: RandomKey, seen: number): PairRow {
  const { source, filled } = formIn(random, length);
  return { source: source.slice(-seen), ...causalRow([0, ...filled], () => true) };
}

const sizes = { vocabularySize, layers: 2, modelWidth: 48, heads: 4, ffnWidth: 96 };
const v11 = {
  ffn: (of: Parameters<typeof gatedMlp>[0]) => gatedMlp(of) as FeedForward<unknown>,
  activation: geluTanh,
  head: linearHead(sizes.modelWidth, sizes.vocabularySize) as Head,
};
const models = {
  ours: { model: longT5({ ...sizes, radius, block }), seen: length },
  plain: { model: t5({ ...sizes, ...v11 }), seen: affordable },
} as const;

await prove("longt5", async ({ train, seed, say }) => {
  const [steps, batchSize] = [600, 16];
  const count = (name: keyof typeof models) => countParameters(models[name].model.init(randomKey(0)));
  const learn = async (name: keyof typeof models, peak: number) => {
    const { model, seen } = models[name];
    const source = generatedRows((random) => row(random, seen), { seed });
    const { evaluation } = await train(`${name}-${peak}`, {
      ...{ steps, length: seen, batchSize, clipNorm: 1, optimiser: adamw(), checkpointEvery: 100 },
      objective: sequenceToSequenceObjective<unknown>(model),
      view: rowsView({ name: "forms", length: seen, form: pairsForm, limit: 4096, source }),
      task: { fingerprint: `forms from ${length} tokens, ${seen} seen` },
      schedule: warmupCosine({ peak, warmupSteps: 30, totalSteps: steps }),
    });
    const { correct, tokens } = evaluation!.totals;
    say(`${name}, ${peak}: ${correct! / tokens}`);
    return correct! / tokens;
  };
  const [ours, plain] = [await learn("ours", 5e-3), await learn("plain", 5e-3)];
  assert.ok(Math.abs(count("plain") / count("ours") - 1) < 0.02);
  return resultOf({
    measure: `share of the fields of a form that are filled in right from a source of ${length} tokens`,
    ...{ better: "more", ours, plain, target: 0.8 },
    plainIs: `T5 v1.1 that reads the last ${affordable} tokens, which takes as many pairs`,
    size: `2 layers of ${sizes.modelWidth} on each side, radius ${radius}, blocks of ${block}, ${count("ours")} parameters, ${steps} steps of ${batchSize} sources`,
    paper: "ROUGE-L 44.3 on arXiv (XL, sources of 16,384 tokens)",
  });
});
