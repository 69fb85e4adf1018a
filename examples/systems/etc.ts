// ETC: what stands at the head of a paragraph is known all over it, through the global token of the paragraph.
import assert from "node:assert/strict";
import { type RandomKey, randomKey, uniform } from "@tsformers/engine";
import type { Pattern } from "tsformers/kinds";
import { bert, etc } from "tsformers/models";
import { tagging } from "tsformers/objectives";
import { fullPattern, slidingWindow } from "tsformers/patterns";
import { bidirectionalBuckets, t5Bias } from "tsformers/positions";
import { countParameters } from "tsformers/run";
import { generatedRows, nextForm, type Row, rowsView } from "tsformers/tasks";
import { adamw, warmupCosine } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const [titles, words, paragraphs, length] = [8, 16, 8, 256];
const stop = 1; // Ends a paragraph; 0 is padding.
const title = (n: number) => stop + 1 + n;
const asked = title(titles) + words; // Behind the titles and the words.

/** Paragraphs of any length: a title, then words, among which its title is asked for, and a full stop. */
function document(key: RandomKey): Row {
  const draws = uniform(key, [3 * length]).toNumbers();
  const draw = (below: number) => Math.floor(draws.pop()! * below);
  const cuts = new Set<number>([0]);
  while (cuts.size < paragraphs) cuts.add(3 * draw(Math.floor(length / 3)));
  let own = 0;
  const cells = Array.from({ length }, (_, t) => {
    if (cuts.has(t)) own = draw(titles);
    if (cuts.has(t)) return { token: title(own), own, scored: 0 };
    if (cuts.has(t + 1) || t === length - 1) return { token: stop, own, scored: 0 };
    const scored = Number(draw(6) === 0);
    return { token: scored ? asked : title(titles) + draw(words), own, scored };
  });
  return {
    inputs: cells.map(({ token }) => token),
    targets: cells.map(({ own }) => own),
    weights: cells.map(({ scored }) => scored),
  };
}

const sizes = { vocabularySize: asked + 1, layers: 2, modelWidth: 48, heads: 4, initializerRange: 0.08 };
const radius = 4;
/** BERT with relative positions; its networks are wider, in place of ETC's labels. */
const plain = (pattern: Pattern) =>
  bert({ ...sizes, length, ffnWidth: 110, scheme: { scores: t5Bias(sizes.heads, bidirectionalBuckets()) }, pattern });
// A token and a global token see each other: no fewer pairs in a window that is wider by the global tokens on either side.
const wide = radius + paragraphs;
const models = {
  ours: etc({ ...sizes, globals: paragraphs, radius, separator: stop, ffnWidth: 96 }),
  window: plain(slidingWindow({ before: wide, after: wide })),
  full: plain(fullPattern),
} as const;

await prove("etc", async ({ train, seed, say }) => {
  const source = generatedRows(document, { seed });
  const view = rowsView({ name: "paragraphs", length, form: nextForm, limit: 8192, source });
  const [steps, batchSize] = [300, 8];
  const counts = new Set<number>();
  const learn = async (name: keyof typeof models, peak: number) => {
    const objective = tagging<unknown>(models[name].body, { classes: titles });
    counts.add(countParameters(objective.init(randomKey(0))));
    const { evaluation } = await train(`${name}-${peak}`, {
      ...{ objective, view, steps, length, batchSize, clipNorm: 1, optimiser: adamw(), checkpointEvery: 100 },
      task: { fingerprint: `paragraphs ${titles} ${words} ${paragraphs} ${length}` },
      schedule: warmupCosine({ peak, warmupSteps: 30, totalSteps: steps }),
    });
    const { correct, tokens } = evaluation!.totals;
    say(`${name}, ${peak}: ${correct! / tokens}`);
    return correct! / tokens;
  };
  const best = async (name: keyof typeof models) => Math.max(await learn(name, 2e-3), await learn(name, 5e-3));
  const [ours, window, full] = [await best("ours"), await best("window"), await best("full")];
  assert.ok(Math.max(...counts) < 1.02 * Math.min(...counts), [...counts].join(", "));
  return resultOf({
    measure: `share of titles that are told right anywhere in paragraphs of ${length / paragraphs} tokens on average`,
    ...{ better: "more", ours, plain: window, target: 0.9 },
    plainIs: `BERT with relative positions and a window of ${2 * wide + 1}, which is more pairs than ours; the better of two learning rates, as ours`,
    size: `2 layers of ${sizes.modelWidth}, radius ${radius}, ${Math.min(...counts)} parameters, ${steps} steps of ${batchSize} × ${length} tokens`,
    figures: { "the plain model where all see all": full },
    paper: "79.8 % right on WikiHop, from paragraphs of several documents",
  });
});
