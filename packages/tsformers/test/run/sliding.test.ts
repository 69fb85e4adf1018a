import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRunConfig } from "../../src/run/config.ts";
import { evaluateAtLengths, type LengthResult, type LengthsOptions } from "../../src/run/evaluate-run.ts";
import { logitsOf } from "../../src/run/logits.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-sliding-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

/** Every place of it has another token. */
const numbered = String.fromCodePoint(...Array.from({ length: 1000 }, (_, i) => 0x4e00 + i));
const task = textTask({ text: numbered, tokenizer: () => characterTokenizer(numbered), length: 8 });
const validTokens = [...task.tokenizer!.encode(numbered.slice(900, 950))];

describe("windows that slide", () => {
  it.each([
    [8, 3, 20],
    [8, 1, 49],
    [8, 8, 49],
    [8, 7, 8],
    [5, 2, 30],
    [1, 1, 10],
    [49, 4, 49],
  ])(
    "score each token once, with as many before it as there should be: length %i, stride %i, %i scored",
    (length, stride, limit) => {
      for (const batchSize of [1, 3]) {
        const scored: { target: number; before: number }[] = [];
        for (const batch of task.views.next.slidingBatches!("valid", { batchSize, length, limit, stride })) {
          expect(batch.inputs.shape).toEqual([batchSize, length]);
          const [inputs, targets, weights] = [batch.inputs, batch.targets, batch.weights].map((array) =>
            array.toNumbers(),
          );
          for (const [at, weight] of weights!.entries()) {
            const place = at % length;
            if (weight === 0) continue;
            const position = validTokens.indexOf(targets![at]!);
            expect(inputs!.slice(at - place, at + 1)).toEqual(validTokens.slice(position - place - 1, position));
            scored.push({ target: position, before: place + 1 });
          }
        }
        expect(scored.map(({ target }) => target)).toEqual(Array.from({ length: limit }, (_, i) => i + 1));
        // The definition: window k sees tokens k·N … k·N + T − 1; the last N of its targets count, of window 0 all.
        for (const { target, before } of scored)
          expect(before).toBe(target <= length ? target : target - Math.ceil((target - length) / stride) * stride);
      }
    },
  );

  it("are those that do not overlap where the stride is the length", () => {
    for (const split of ["valid", "test"] as const) {
      const plain = [...task.views.next.evalBatches(split, { batchSize: 2, length: 6 })];
      expect([...task.views.next.slidingBatches!(split, { batchSize: 2, length: 6, stride: 6 })]).toEqual(plain);
    }
  });

  it.each([0, 9, 1.5, Number.NaN])("are refused with stride %d at length 8", (stride) => {
    expect(() => task.views.next.slidingBatches!("valid", { batchSize: 1, length: 8, stride })).toThrow(
      /stride must be an integer from 1 to the length 8/,
    );
  });
});

const settings = {
  task: { kind: "text" },
  length: 16,
  model: { kind: "gpt", layers: 1, modelWidth: 16, heads: 2, position: { kind: "alibi" } },
  batchSize: 4,
  steps: 3,
  evalEvery: 3,
  evalTokens: 64,
};
type Measured = Exclude<LengthResult, { readonly missing: string }>;

describe("evaluation with a stride", () => {
  it("is the mean of the losses of single windows, one after the other", async () => {
    const directory = join(home, "run");
    const { run } = await trainRun(settings, { directory, device });
    const opened = await openModel(directory);
    const [length, stride, limit] = [12, 5, 60];
    const results = await evaluateAtLengths(run, opened.params as never, device, {
      split: "test",
      lengths: [length],
      stride,
      limit,
      batchTokens: 48,
    });
    // Tokens of the split, from windows that do not overlap.
    const tokens: number[] = [];
    for (const { inputs } of run.task.views.next!.evalBatches("test", { batchSize: 1, length: 1, limit: limit + 1 }))
      tokens.push(...inputs.toNumbers());
    let sum = 0;
    for (let target = 1; target <= limit; target++) {
      const window = target <= length ? 0 : Math.ceil((target - length) / stride);
      const logits = await logitsOf(opened, tokens.slice(window * stride, target), device);
      const vocabulary = logits.shape.at(-1)!;
      const last = logits.toNumbers().slice(-vocabulary);
      sum += Math.log(last.reduce((total, logit) => total + Math.exp(logit), 0)) - last[tokens[target]!]!;
    }
    const [result] = results as Measured[];
    expect(result!.totals.tokens).toBe(limit);
    expect(result!.loss).toBeCloseTo(sum / limit, 4);
  });

  it("scores equally many tokens at each length; a length below the stride is reported", async () => {
    const run = await prepareRun(parseRunConfig(settings, "test"));
    const params = run.objective.init(randomKey(0));
    const results = await evaluateAtLengths(run, params as never, device, {
      split: "valid",
      lengths: [8, 16, 4],
      stride: 6,
      limit: 50,
      batchTokens: 64,
    });
    expect((results.slice(0, 2) as Measured[]).map(({ totals }) => totals.tokens)).toEqual([50, 50]);
    expect(results[2]).toEqual({ length: 4, missing: "text: stride must be an integer from 1 to the length 4, got 6" });
  });

  it.each([
    [
      "an encoder",
      { model: { kind: "bert", layers: 1, modelWidth: 16, heads: 2 } },
      /this encoder is trained for masked/,
    ],
    [
      "a model with a memory",
      { model: { kind: "transformer-xl", layers: 1, modelWidth: 16, heads: 2 } },
      /remembers the segments before/,
    ],
    ["a task without a text", { task: { kind: "recall" } }, /the rows of this task are unrelated/],
  ])("is refused for %s", async (_, more, message) => {
    const run = await prepareRun(parseRunConfig({ ...settings, ...more }, "test"));
    const options: LengthsOptions = { split: "test", lengths: [16], stride: 4, batchTokens: 64 };
    await expect(evaluateAtLengths(run, {} as never, device, options)).rejects.toThrow(message);
  });
});
