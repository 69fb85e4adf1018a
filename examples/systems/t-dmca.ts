// T-DMCA: finds an entry anywhere in a source, of which local attention at the same cost sees the end.
import assert from "node:assert/strict";
import { type RandomKey, randomKey } from "@tsformers/engine";
import type { Pattern } from "tsformers/kinds";
import { gpt, type LanguageModel, tDmca } from "tsformers/models";
import { tokenObjective } from "tsformers/objectives";
import { sinusoidal } from "tsformers/positions";
import { countParameters } from "tsformers/run";
import { causalRow, generatedRows, nextForm, type Row, rowsView } from "tsformers/tasks";
import { adamw, warmupCosine } from "tsformers/train";
import { needleIn, vocabularySize } from "../harness/needles.ts";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const length = 128;
const block = 16;

/** One sequence of source, separator and target, of which the target is scored. */
function row(random: RandomKey): Row {
  const { source, entry } = needleIn(random, length - 1);
  return causalRow([...source, 0, entry], (index) => index === length);
}

const ownBlock = (size: number): Pattern => ({
  name: `own block of ${size}`,
  keys: (query) => [query - (query % size), query + 1],
});

const sizes = { vocabularySize, layers: 5, modelWidth: 48, heads: 4 };
const models = {
  ours: tDmca({ ...sizes, block, ffnWidth: 96 }),
  // Five local layers with blocks twice as long take more pairs; wider networks stand in for the convolutions.
  plain: gpt({
    ...{ ...sizes, length, ffnWidth: 124, initializerRange: sizes.modelWidth ** -0.5 },
    ...{
      scheme: { positions: sinusoidal(sizes.modelWidth) },
      pattern: ownBlock(2 * block),
    },
  }),
} as const;

await prove("t-dmca", async ({ train, seed, say }) => {
  const [steps, batchSize] = [1000, 16];
  const count = (name: keyof typeof models) => countParameters((models[name] as LanguageModel).init(randomKey(0)));
  const view = rowsView({ name: "forms", length, form: nextForm, limit: 4096, source: generatedRows(row, { seed }) });
  const learn = async (name: keyof typeof models, peak: number) => {
    const { evaluation } = await train(`${name}-${peak}`, {
      ...{ view, steps, length, batchSize, clipNorm: 1, optimiser: adamw(), checkpointEvery: 100 },
      objective: tokenObjective<unknown>(models[name] as LanguageModel),
      task: { fingerprint: `an entry in ${length} tokens` },
      schedule: warmupCosine({ peak, warmupSteps: 30, totalSteps: steps }),
    });
    const { correct, tokens } = evaluation!.totals;
    say(`${name}, ${peak}: ${correct! / tokens}`);
    return correct! / tokens;
  };
  const [ours, plain] = [await learn("ours", 4e-3), await learn("plain", 4e-3)];
  assert.ok(Math.abs(count("plain") / count("ours") - 1) < 0.02, `${count("ours")} ${count("plain")}`);
  return resultOf({
    measure: `share of entries that are found somewhere in the ${length - 1} tokens before`,
    ...{ better: "more", ours, plain, target: 0.9 },
    plainIs: `GPT with local attention in blocks of ${2 * block}, which is more pairs`,
    size: `5 layers of ${sizes.modelWidth}, L-M-L-M-L with blocks of ${block}, ${count("ours")} parameters, ${steps} steps of ${batchSize} rows`,
    paper: "ROUGE-L 38.8 on WikiSum (sources of 11,000 tokens, with experts)",
  });
});
