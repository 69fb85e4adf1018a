// SPALM: facts too many to learn by heart, and facts that came after training, are looked up. A trained Transformer-XL finds them.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromNumbers, permutation, randomKey, uniform } from "@tsformers/engine";
import { type LanguageModel, spalm, transformerXl } from "tsformers/models";
import { tokenObjective } from "tsformers/objectives";
import { buildDatastore, exactSearch, findNeighbours, openDatastore } from "tsformers/retrieval";
import { type Batch, type TaskView, type TextTask, textTask, withNeighbours } from "tsformers/tasks";
import { wordTokenizer } from "tsformers/tokenizers";
import { adamw, evaluator, warmupCosine } from "tsformers/train";
import { prove } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const [names, relations, values, told, newcomers] = [40, 4, 32, 4, 320];
const [length, batchSize, steps] = [32, 16, 600];
const words = { relation: relations, first: names, last: names, value: relations * values };
const numbered = ([word, count]: [string, number]) => Array.from({ length: count }, (_, i) => `${word}${i}`);
const tokenizer = wordTokenizer(Object.entries(words).flatMap(numbered));

// "relation2 first7 last31 value69": a quarter of all values go with the first name, a quarter with the last name, the others with nothing.
const draws = (seed: number, count: number) => uniform(randomKey(seed), [count]).toNumbers();
const [ofFirst, ofLast] = [draws(0, names * relations), draws(1, names * relations)];
const [kinds, own] = [draws(2, names ** 2 * relations), draws(3, names ** 2 * relations)];
function fact(person: number, r: number): string {
  const [first, last, at] = [Math.floor(person / names), person % names, person * relations + r];
  const regular = [ofFirst[first * relations + r]!, ofLast[last * relations + r]!][Math.floor(4 * kinds[at]!)];
  return `relation${r} first${first} last${last} value${r * values + Math.floor(values * (regular ?? own[at]!))}`;
}
/** All facts about some people, each told several times, in any order. */
function textAbout(people: readonly number[]): TextTask {
  const each = Array.from({ length: relations * told }, (_, i) => i % relations);
  const facts = people.flatMap((person) => each.map((r) => fact(person, r)));
  const order = permutation(randomKey(4), facts.length).toNumbers();
  return textTask({ text: order.map((i) => facts[i]).join(" "), tokenizer: () => tokenizer });
}
const people = permutation(randomKey(5), names ** 2).toNumbers();
const [known, newer] = [textAbout(people.slice(newcomers)), textAbout(people.slice(0, newcomers))];

/** Segments in which values count, and nothing else. */
function asked({ views: { segments } }: TextTask): TaskView<Batch> {
  const only = ({ targets, weights, ...rest }: Batch): Batch => {
    const isValue = targets.toNumbers().map((token) => token >= tokenizer.vocabularySize - words.value);
    const counted = weights.toNumbers().map((weight, i) => (isValue[i] ? weight : 0));
    return { ...rest, targets, weights: fromNumbers(counted, weights.shape) };
  };
  return {
    trainBatch: (...at) => only(segments.trainBatch(...at)),
    evalBatches: (...of) => Array.from(segments.evalBatches(...of), only),
  };
}

const sizes = { vocabularySize: tokenizer.vocabularySize, layers: 2, modelWidth: 64, heads: 4, memoryLength: length };
const [plainModel, model] = [transformerXl(sizes) as LanguageModel, spalm(sizes) as LanguageModel];

await prove("spalm", async ({ train, device, signal, folder }) => {
  const rightOf = async (model: LanguageModel, params: unknown, task: TextTask) => {
    const { evaluate } = evaluator(tokenObjective(model, { segments: true }), device);
    const { correct, tokens } = await evaluate(params as never, asked(task).evalBatches("test", { batchSize, length }));
    return correct! / tokens;
  };
  const trained = async (name: string, model: LanguageModel, task: TextTask, rate: number, total = steps) => {
    const { params, evaluation } = await train(`${name}-${rate}`, {
      ...{ objective: tokenObjective(model, { segments: true }), task, view: asked(task), length, batchSize },
      ...{ steps: total, optimiser: adamw({ weightDecay: 0 }), clipNorm: 1, checkpointEvery: 100 },
      schedule: warmupCosine({ peak: rate, warmupSteps: 20, totalSteps: total }),
    });
    return { rate, params, valid: evaluation!.totals.correct!, right: await rightOf(model, params, task) };
  };
  const rates = [await trained("plain", plainModel, known, 5e-3), await trained("plain", plainModel, known, 1e-2)];
  // The better one is at the same time the model that finds neighbours.
  const { params, right, rate } = rates.reduce((a, b) => (a.valid > b.valid ? a : b));
  const reading = { model: plainModel, params, device, signal, batchSize, length };
  /** A text with what is found in a datastore of its training split, or of its first `limit` words. */
  const found = async (name: string, task: TextTask, { count = 4, limit = 1e9 } = {}): Promise<TextTask> => {
    const [text, directory] = [task.text, join(folder, name)];
    if (!existsSync(directory)) await buildDatastore({ ...reading, text, split: "train", directory, limit });
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    const table = await findNeighbours({ ...reading, text, store, search, count });
    await Promise.all([search.release(), store.close()]);
    return withNeighbours(task, table);
  };
  const ours = await trained("ours", model, await found("known", known), 1e-2);
  const longer = await trained("longer", plainModel, known, rate, 2 * steps);
  const news = async (name: string, of = {}) => rightOf(model, ours.params, await found(name, newer, of));
  return resultOf({
    measure: `share of right answers about 5,120 facts, each told ${told} times`,
    ...{ better: "more", ours: ours.right, plain: right, target: 0.7 },
    plainIs: "a Transformer-XL at the better of two rates, ours at the higher one, with the gate's 64 parameters less",
    size: `2 layers of 64, 0.1M parameters, ${steps} steps of ${batchSize} × ${length} words, 4 neighbours`,
    paper: "its tables are for WikiText-103, WMT and enwik8",
    figures: {
      "plain, twice as many steps": longer.right,
      "plain about people new after training": await rightOf(plainModel, params, newer),
      "ours about them": await news("new"),
      "ours about them by one neighbour": await news("new", { count: 1 }),
      "ours about them by a datastore of 9,000 words in place of 18,432": await news("new-half", { limit: 9000 }),
    },
  });
});
