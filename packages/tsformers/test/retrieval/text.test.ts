import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { add, type Concrete, compile, NDArray, randomKey, readTree, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { recomputing } from "../../src/depth/recomputed.ts";
import { openDecoder } from "../../src/generate/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { gptJ } from "../../src/models/decoders/gptj.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { mlp, relu } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { tokenObjective } from "../../src/objectives/index.ts";
import {
  buildDatastore,
  exactSearch,
  fingerprintOf,
  mixedLoss,
  mixingDecoder,
  openDatastore,
  scoreText,
  tuneMixture,
} from "../../src/retrieval/index.ts";
import { textBatches } from "../../src/retrieval/text-batches.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { evaluator } from "../../src/train/evaluate.ts";
import { scratchFolder } from "./stores.ts";

const device = await openCpu();
const scratch = scratchFolder();
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await device.close();
});

const text = "The quick brown fox jumps over the lazy dog; a wizard's job is to vex chumps in fog. ".repeat(9);
const task = textTask({ text, tokenizer: characterTokenizer, length: 8 });
const { vocabularySize } = task;
const size = { vocabularySize, layers: 2, modelWidth: 12, heads: 2 };
const models = {
  gpt: gpt({ ...size, length: 8 }),
  "transformer-xl": transformerXl({ ...size, memoryLength: 6 }),
} as const;
const paramsOf = (model: LanguageModel<never>) => model.init(randomKey(3));

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 5);
  });
}

describe("what goes into the last feed-forward network", () => {
  const inputs = new NDArray([1, 6], "int32", Int32Array.of(1, 5, 2, 7, 3, 3));
  const outputs = async (model: LanguageModel, fn: (out: ReturnType<LanguageModel["apply"]>) => Tensor[]) => {
    const pass = compile((params: unknown, tokens: Tensor) => fn(model.apply(params, { tokens }, evaluation)), {
      device,
    });
    const found = await pass(model.init(randomKey(3)) as never, inputs as never);
    const read = (await readTree(found as never)) as NDArray[];
    await pass.release();
    return read.map((array) => array.toNumbers());
  };

  test("of a post-norm block gives the output, transformed and normed", async () => {
    const model = models["transformer-xl"] as LanguageModel;
    const { blocks } = model.init(randomKey(3)) as { blocks: { ffn: never; ffnNorm: never }[] };
    const ffn = mlp({ modelWidth: 12, ffnWidth: 48, activation: relu, dropoutRate: 0 });
    const [expected, found] = await outputs(model, ({ x, ffnInput }) => {
      const own = ffnInput!();
      const transformed = ffn.apply(blocks[1]!.ffn, own, evaluation);
      return [x, layerNorm({ epsilon: 1e-5 })(12).apply(blocks[1]!.ffnNorm, add(own, transformed))];
    });
    expectClose(found!, expected!);
  });

  test("of GPT-J's block is the norm of what goes into the block", async () => {
    const model = gptJ({ ...size, rotaryWidth: 4 } as never) as LanguageModel;
    const { blocks } = model.init(randomKey(3)) as { blocks: { mixerNorm: never }[] };
    const [expected, found] = await outputs(model, ({ hidden, ffnInput }) => [
      layerNorm({ epsilon: 1e-5 })(12).apply(blocks[1]!.mixerNorm, hidden[1]!),
      ffnInput!(),
    ]);
    expectClose(found!, expected!);
  });

  test("of a pre-norm block is normed, and the same where blocks are recomputed", async () => {
    const [own, again] = await Promise.all(
      [gpt({ ...size, length: 8 }), gpt({ ...size, length: 8, depth: recomputing } as never)].map((model) =>
        outputs(model as LanguageModel, ({ ffnInput }) => [ffnInput!()]).then(([found]) => found!),
      ),
    );
    const row = own!.slice(0, 12);
    expect(row.reduce((a, b) => a + b)).toBeCloseTo(0, 3);
    // Less than 12, since the norm's ε counts where weights are small.
    expect(row.reduce((a, b) => a + b * b)).toBeGreaterThan(8);
    expectClose(again!, own!);
  });
});

describe("reading a text once", () => {
  const tokens = Array.from({ length: 23 }, (_, i) => i + 1);
  const split = { length: tokens.length, read: (a: number, b: number) => Int32Array.from(tokens.slice(a, b)) };
  const splits = { train: split, valid: split, test: split };
  const starts = [0, 4, 5, 17];
  const source = {
    fingerprint: "f",
    splits,
    documents: { train: starts, valid: starts, test: starts },
    places: task.text.places,
  };

  test.each([1, 2, 3, 7])("segments of 3 in %i rows: each target once, in the order of the text", (batchSize) => {
    const all = textBatches(source, { split: "train", batchSize, length: 3, continues: true });
    const targets: number[] = [];
    for (const batch of all)
      for (const { row, column, count, entry } of batch.stretches) {
        const at = row * 3 + column;
        for (let i = 0; i < count; i++) {
          targets[entry + i] = batch.targets.data[at + i] as number;
          expect(batch.inputs.data[at + i]).toBe(targets[entry + i]! - 1);
        }
      }
    // First tokens of documents are no targets.
    expect(targets).toEqual(tokens.filter((_, i) => !starts.includes(i)));
    expect(all.entries).toBe(targets.length);
  });

  test.each([1, 2, 5])(
    "windows of 5 with a stride of %i: each target once, with 5 − stride tokens before it",
    (stride) => {
      const all = textBatches(source, { split: "valid", batchSize: 3, length: 5, continues: false, stride });
      const targets: number[] = [];
      for (const batch of all)
        for (const { row, column, count, entry } of batch.stretches) {
          if (entry >= 5) expect(column).toBe(5 - stride);
          for (let i = 0; i < count; i++) targets[entry + i] = batch.targets.data[row * 5 + column + i] as number;
        }
      expect(targets).toEqual(tokens.slice(1));
    },
  );

  test("a limit reads the first tokens only; strides that do not fit are refused", () => {
    const reading = { split: "train", batchSize: 2, length: 5 } as const;
    expect(textBatches(source, { ...reading, continues: false, limit: 9 }).entries).toBe(9);
    expect(() => textBatches(source, { ...reading, continues: false, stride: 6 })).toThrow("got 6");
    expect(() => textBatches(source, { ...reading, continues: true, stride: 2 })).toThrow("leave stride out");
  });
});

describe.each(["gpt", "transformer-xl"] as const)("a datastore of %s", (name) => {
  const model = models[name] as LanguageModel;
  const params = paramsOf(models[name] as never) as unknown;
  const reading = { model, params, text: task.text, device, batchSize: 3, length: 8 };
  const directory = join(scratch, name);
  const built = buildDatastore({ ...reading, split: "train", directory });

  test("holds every position of the split, in order, whatever the number of rows", async () => {
    const entries = await built;
    const { train } = task.text.splits;
    expect(entries).toBe(train.length - 1);
    const store = await openDatastore(directory);
    expect([...store.values]).toEqual([...Array.from(train.read(1, train.length))]);
    expect(store.record.model).toBe(fingerprintOf(params));
    await store.close();
  });

  test("writing from the mixture gives each token the probability that scoring does", async () => {
    await built;
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    const [limit, mixture] = [6, { lambda: 0.3, neighbours: 5 }];
    const scored = await scoreText({
      ...{ ...reading, split: "valid", store, search, limit },
      neighbourCounts: [mixture.neighbours],
    });
    const expected = Array.from(scored.model, (log, i) =>
      Math.log(0.7 * Math.exp(log) + 0.3 * Math.exp(scored.neighbours.get(mixture.neighbours)![i]!)),
    );
    const tokens = Array.from(task.text.splits.valid.read(0, limit + 1));
    const own = openDecoder(model, params as Concrete<unknown>, { device, maxLength: 8, tellsFfnInput: true });
    const decoder = mixingDecoder(own, search, mixture);
    const found: number[] = [];
    for (let i = 0; i < limit; i++) found.push((await decoder.read([tokens[i]!]))[tokens[i + 1]!]!);
    expectClose(found, expected);
    decoder.restart();
    const together = await decoder.read(tokens.slice(0, limit));
    expect(together[tokens[limit]!]).toBeCloseTo(expected.at(-1)!, 5);
    expect(together.reduce((sum, log) => sum + Math.exp(log), 0)).toBeCloseTo(1, 5);
    await Promise.all([decoder.release(), search.release()]);
    await store.close();
  });

  test("without neighbours the loss is that of an evaluation; mixed, it is the definition's", async () => {
    await built;
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    const scored = await scoreText({
      ...reading,
      split: "valid",
      store,
      search,
      neighbourCounts: [2, 9],
      queriesPerSearch: 7,
    });
    const view = name === "gpt" ? task.views.next : task.views.segments;
    const objective = tokenObjective(model, { segments: name !== "gpt" });
    const judge = evaluator(objective, device);
    const { lossSum, tokens } = await judge.evaluate(
      params as never,
      view.evalBatches("valid", { batchSize: 3, length: 8 }),
    );
    await judge.release();
    expect(scored.model.length).toBe(tokens);
    expect(mixedLoss(scored, { lambda: 0, neighbours: 2 })).toBeCloseTo(lossSum / tokens, 4);
    const own = scored.neighbours.get(9)!;
    const plain = scored.model.reduce(
      (sum, log, i) => sum - Math.log(0.7 * Math.exp(log) + 0.3 * Math.exp(own[i]!)),
      0,
    );
    expect(mixedLoss(scored, { lambda: 0.3, neighbours: 9 })).toBeCloseTo(plain / tokens, 6);
    // The text repeats itself, and the model is not trained: what followed before is the better guess.
    const best = tuneMixture(scored);
    expect(best.loss).toBeLessThan(lossSum / tokens / 2);
    expect(best.lambda).toBeGreaterThan(0.5);
    expect(() => mixedLoss(scored, { lambda: 0.3, neighbours: 3 })).toThrow("scored with 2, 9, not with 3");
    await search.release();
    await store.close();
  });

  test("is refused with another model's parameters", async () => {
    await built;
    const store = await openDatastore(directory);
    const others = model.init(randomKey(4)) as Concrete<unknown>;
    const scoring = {
      ...reading,
      params: others,
      split: "valid",
      store,
      search: exactSearch(store, { device }),
    } as const;
    await expect(scoreText({ ...scoring, neighbourCounts: [2] })).rejects.toThrow("was built by another model");
    await store.close();
  });

  test("leaves nothing when it is interrupted", async () => {
    const controller = new AbortController();
    const target = join(scratch, `${name}-interrupted`);
    const options = {
      ...reading,
      split: "train",
      directory: target,
      signal: controller.signal,
    } as const;
    const onProgress = (batch: number) => batch === 2 && controller.abort(new Error("enough"));
    await expect(buildDatastore({ ...options, onProgress })).rejects.toThrow("enough");
    expect(readdirSync(scratch).filter((one) => one.includes("interrupted"))).toEqual([]);
  });
});

test("a model that does not tell what goes into its last feed-forward network is refused", async () => {
  const model = models.gpt as LanguageModel;
  const silent: LanguageModel = {
    ...model,
    apply: (params, input, context) => {
      const { ffnInput: _, ...out } = model.apply(params, input, context);
      return out;
    },
  };
  const directory = join(scratch, "silent");
  const params = paramsOf(models.gpt as never);
  const options = { model: silent, params, text: task.text, device, batchSize: 2, length: 8 };
  await expect(buildDatastore({ ...options, split: "train", directory })).rejects.toThrow(
    "does not tell what goes into",
  );
});
