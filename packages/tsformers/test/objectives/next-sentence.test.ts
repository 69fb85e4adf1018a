import { compile, type NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { nextSentenceModel, nextSentenceObjective } from "../../src/objectives/next-sentence.ts";
import type { SentencesBatch } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

const story = Array.from({ length: 400 }, (_, i) => `Now ${i} comes. It is followed by ${i + 1}!`).join(" ");
const task = textTask({ text: story, tokenizer: characterTokenizer });
const view = task.views.sentences;
const V = task.vocabularySize;
const [mask, first, separator] = [V, V + 1, V + 2];

type Row = { tokens: number[]; shown: number[]; types: number[]; label: number; weights: number[] };
function rowsOf(batch: SentencesBatch): Row[] {
  const [rows, length] = batch.inputs.shape as [number, number];
  const of = (array: NDArray, row: number) => array.toNumbers().slice(row * length, (row + 1) * length);
  return Array.from({ length: rows }, (_, row) => ({
    tokens: of(batch.targets, row),
    shown: of(batch.inputs, row),
    types: of(batch.types, row),
    weights: of(batch.weights, row),
    label: batch.labels.toNumbers()[row]!,
  }));
}

describe("rows of two sentences", () => {
  const rows = [1, 2, 3, 4].flatMap((step) => rowsOf(view.trainBatch(step, 32, 60)));
  const partsOf = ({ tokens }: Row): [string, string] => {
    const middle = tokens.indexOf(separator);
    return [tokens.slice(1, middle), tokens.slice(middle + 1, -1)].map((part) => task.tokenizer!.decode(part)) as never;
  };

  test("have marks at their places, and segments that end with them", () => {
    expect(view.vocabularySize).toBe(V + 3);
    for (const { tokens, types, shown, weights } of rows) {
      const middle = tokens.indexOf(separator);
      expect([tokens[0], tokens.at(-1)]).toEqual([first, separator]);
      expect(types).toEqual(tokens.map((_, at) => (at <= middle ? 0 : 1)));
      expect(tokens.filter((token) => token > mask)).toEqual([first, separator, separator]);
      for (const [at, token] of tokens.entries()) {
        if (weights[at] === 0) expect(shown[at]).toBe(token);
        if (token > mask) expect(weights[at]).toBe(0);
      }
      expect(shown.filter((token) => token === mask).length).toBeLessThanOrEqual(weights.filter((w) => w > 0).length);
    }
  });

  test("go on in half of all cases, and the second part begins with a sentence", () => {
    const text = story.slice(0, Math.floor(story.length * 0.9));
    let follows = 0;
    for (const row of rows) {
      const [a, b] = partsOf(row);
      expect(text).toContain(a);
      expect(text).toContain(b);
      expect(/^\s?[A-Z]/.test(b)).toBe(true);
      if (row.label === 0) expect(text).toContain(a + b);
      follows += 1 - row.label;
    }
    expect(rows.filter((row) => row.label === 1 && !text.includes(partsOf(row).join(""))).length).toBeGreaterThan(40);
    expect(Math.abs(follows - rows.length / 2)).toBeLessThan(5 * Math.sqrt(rows.length / 4));
  });

  test("are the same in an evaluation whatever the size of batches, and hide whole words if asked to", () => {
    const evaluated = (batchSize: number) =>
      [...view.evalBatches("test", { batchSize, length: 40, limit: 60 })]
        .flatMap(rowsOf)
        .filter(({ tokens }) => tokens[0] === first);
    expect(evaluated(3)).toEqual(evaluated(5));
    const hidden = rowsOf(view.wholeWords.trainBatch(1, 32, 60));
    for (const { tokens, weights } of hidden) {
      const spaces = tokens.map((token) => token > mask || task.tokenizer!.decode([token]) === " ");
      for (let at = 1; at < tokens.length; at++)
        if (!spaces[at] && !spaces[at - 1]) expect(weights[at]).toBe(weights[at - 1]);
    }
  });

  test("refuse what is too short", () => {
    expect(() => view.trainBatch(1, 1, 4)).toThrow("two sentences need a length of at least 5, got 4");
    expect(() => view.evalBatches("test", { batchSize: 1, length: 800 })).toThrow(
      /pairs of sentences of length 800 need 1594 tokens, the test split has/,
    );
  });
});

describe("the objective", () => {
  const model = bert({ vocabularySize: V + 3, layers: 1, modelWidth: 16, heads: 2, length: 24, initializerRange: 0.3 });
  const objective = nextSentenceObjective(model);
  const params = objective.init(randomKey(3));
  const batch = view.trainBatch(1, 6, 24);

  /** The definition, in numbers: −log p of the hidden tokens and of the answers. */
  async function plain(of: SentencesBatch) {
    const whole = nextSentenceModel(model);
    const pass = compile(
      (p: typeof params, { inputs: tokens, mask, types }: { inputs: never; mask: never; types: never }) => {
        const out = whole.apply(p as never, { tokens, mask, types }, evaluation);
        return { logits: out.logits, follows: out.nextSentence! };
      },
      { device: await openCpu() },
    ) as never as (...args: unknown[]) => Promise<Record<"logits" | "follows", { read(): Promise<NDArray> }>>;
    const out = await pass(params, { inputs: of.inputs, mask: of.mask, types: of.types });
    const minusLog = async (name: "logits" | "follows", targets: NDArray) => {
      const array = await out[name].read();
      const [values, width] = [array.toNumbers(), array.shape.at(-1)!];
      return targets.toNumbers().map((target, i) => {
        const own = values.slice(i * width, (i + 1) * width);
        return {
          loss: Math.log(own.reduce((a, b) => a + Math.exp(b), 0)) - own[target]!,
          right: own.indexOf(Math.max(...own)) === target,
        };
      });
    };
    return { tokens: await minusLog("logits", of.targets), answers: await minusLog("follows", of.labels) };
  }
  const mean = (values: number[], weights: number[]) =>
    values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / weights.reduce((a, b) => a + b, 0);

  test("adds both losses of the definition, and counts right answers as exact rows", async () => {
    const [padded] = [...view.evalBatches("valid", { batchSize: 64, length: 24, limit: 40 })];
    expect(padded!.rowWeights.toNumbers()).toContain(0);
    for (const of of [batch, padded!]) {
      const { tokens, answers } = await plain(of);
      const run = compile(
        (p: never, b: never) => {
          const { total, weight, losses } = objective.loss(p, b, evaluation);
          return { total, weight, next: losses!["next-sentence"]!, totals: objective.totals(p, b).totals };
        },
        { device: await openCpu() },
      ) as never as (
        ...args: unknown[]
      ) => Promise<{ total: Device; weight: Device; next: Device; totals: Record<string, Device> }>;
      type Device = { read(): Promise<NDArray> };
      const out = await run(params, of);
      const value = async (array: Device) => (await array.read()).item();
      const weights = of.weights.toNumbers();
      const rowWeights = of.rowWeights.toNumbers();
      const wanted = mean(
        tokens.map(({ loss }) => loss),
        weights,
      );
      expect((await value(out.total)) / (await value(out.weight))).toBeCloseTo(wanted, 4);
      expect(await value(out.next)).toBeCloseTo(
        mean(
          answers.map(({ loss }) => loss),
          rowWeights,
        ),
        4,
      );
      expect(await value(out.totals.rows!)).toBe(rowWeights.reduce((a, b) => a + b));
      const right = answers.filter((answer, i) => answer.right && rowWeights[i] === 1).length;
      expect(await value(out.totals.exactRows!)).toBe(right);
    }
  });

  test("has a pooler and a head beside the model's own parameters", () => {
    expect(Object.keys(params as object).sort()).toEqual(
      [...Object.keys(model.init(randomKey(0)) as object), "nextSentence", "pooler"].sort(),
    );
  });
});
