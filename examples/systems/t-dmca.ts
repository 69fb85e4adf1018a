// T-DMCA: finds what a key stood for anywhere in a source, where local attention at the same cost sees the end of it.
import assert from "node:assert/strict";
import { type RandomKey, randomKey } from "@tsformers/engine";
import { gpt, type LanguageModel, tDmca } from "tsformers/models";
import { tokenObjective } from "tsformers/objectives";
import { fixedBlock } from "tsformers/patterns";
import { sinusoidal } from "tsformers/positions";
import { countParameters } from "tsformers/run";
import { causalRow, generatedRows, nextForm, type Row, rowsView } from "tsformers/tasks";
import { adamw, warmupCosine } from "tsformers/train";
import { factsIn, vocabularySize } from "../harness/facts.ts";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const [facts, asked, source] = [16, 8, 240];
const length = source + 2 * asked; // Source, separator, and the target but for its last token.
const block = 32;

/** One sequence; of the target values are scored, keys are given. */
function story(random: RandomKey): Row {
  const { source: told, answers } = factsIn(random, { length: source, facts, asked });
  const first = told.length + 1;
  return causalRow([...told, 0, ...answers], (index) => index >= first && (index - first) % 2 === 1);
}

const sizes = { vocabularySize, layers: 5, modelWidth: 48, heads: 4 };
const models = {
  ours: tDmca({ ...sizes, block, ffnWidth: 96 }),
  // Five local layers with blocks twice as long take more pairs; wider networks stand in for the convolutions.
  plain: gpt({
    ...{ ...sizes, length, ffnWidth: 124, initializerRange: sizes.modelWidth ** -0.5 },
    ...{
      scheme: { positions: sinusoidal(sizes.modelWidth) },
      pattern: fixedBlock({ stride: 2 * block, causal: true }),
    },
  }),
} as const;

await prove("t-dmca", async ({ train, seed, say }) => {
  const [steps, batchSize] = [500, 8];
  const count = (name: keyof typeof models) => countParameters((models[name] as LanguageModel).init(randomKey(0)));
  const view = rowsView({ name: "facts", length, form: nextForm, limit: 4096, source: generatedRows(story, { seed }) });
  const learn = async (name: keyof typeof models, peak: number) => {
    const { evaluation } = await train(`${name}-${peak}`, {
      ...{ view, steps, length, batchSize, clipNorm: 1, optimiser: adamw(), checkpointEvery: 100 },
      objective: tokenObjective<unknown>(models[name] as LanguageModel),
      task: { fingerprint: `${asked} of ${facts} facts in ${source}` },
      schedule: warmupCosine({ peak, warmupSteps: 30, totalSteps: steps }),
    });
    const { correct, tokens } = evaluation!.totals;
    say(`${name}, ${peak}: ${correct! / tokens}`);
    return correct! / tokens;
  };
  const best = async (name: keyof typeof models) => Math.max(await learn(name, 2e-3), await learn(name, 5e-3));
  const [ours, plain] = [await best("ours"), await best("plain")];
  assert.ok(Math.abs(count("plain") / count("ours") - 1) < 0.02, `${count("ours")} ${count("plain")}`);
  return resultOf({
    measure: `share of right answers about ${facts} facts in a source of ${source} tokens`,
    ...{ better: "more", ours, plain, target: 0.7 },
    plainIs: `GPT with local attention in blocks of ${2 * block}, which is more pairs; the better of two learning rates, as ours`,
    size: `5 layers of ${sizes.modelWidth}, L-M-L-M-L with blocks of ${block}, ${count("ours")} parameters, ${steps} steps of ${batchSize} rows`,
    paper: "ROUGE-L 38.8 on WikiSum (sources of 11,000 tokens, with experts)",
  });
});
