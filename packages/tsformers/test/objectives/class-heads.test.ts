import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  convert,
  decodeSafetensors,
  div,
  evaluate,
  flatten,
  fromNumbers,
  isNdArray,
  type NDArray,
  randomKey,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { architectureOf } from "../../src/io/hugging-face/architecture.ts";
import { linearNames, readNames, writeNames } from "../../src/io/hugging-face/names.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { longformer } from "../../src/models/encoders/longformer.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { hiddenClassHead } from "../../src/nn/class-head.ts";
import {
  classification,
  firstPosition,
  lastPosition,
  meanOfPositions,
  type Pooling,
} from "../../src/objectives/index.ts";
import type { Objective, Symbolic } from "../../src/objectives/objective.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import type { LabelledBatch } from "../../src/tasks/task.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { warmupCosine } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const device = await openCpu();
afterAll(() => device.close());

type Gradients = { readonly value: NDArray; readonly gradient: unknown };

async function gradientsOf(objective: Objective<never, LabelledBatch>, params: unknown, batch: LabelledBatch) {
  const step = (params: never, batch: Symbolic<LabelledBatch>) => {
    const loss = (params: never) => {
      const { total, weight } = objective.loss(params, batch, evaluation);
      return div(total, weight);
    };
    return valueAndGrad(loss)(params);
  };
  return (await evaluate(step, device, params as never, batch as never)) as unknown as Gradients;
}

describe("pooling", () => {
  const x = fromNumbers([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [2, 3, 2]);
  const mask = fromNumbers([1, 1, 0, 1, 1, 1], [2, 3]);
  const masked = async (pooling: Pooling) => {
    const run = (x: Tensor, mask: Tensor) => pooling(x, mask);
    return ((await evaluate(run, device, x, mask)) as unknown as NDArray).toNumbers();
  };
  const whole = async (pooling: Pooling) => {
    const run = (x: Tensor) => pooling(x, undefined);
    return ((await evaluate(run, device, x)) as unknown as NDArray).toNumbers();
  };

  test("takes the first position, the mean, or the last that is no padding", async () => {
    expect(await masked(firstPosition)).toEqual([1, 2, 7, 8]);
    expect(await masked(meanOfPositions)).toEqual([2, 3, 9, 10]);
    expect(await masked(lastPosition)).toEqual([3, 4, 11, 12]);
    expect(await whole(meanOfPositions)).toEqual([3, 4, 9, 10]);
    expect(await whole(lastPosition)).toEqual([5, 6, 11, 12]);
  });
});

test("Longformer's class head: loss and gradients are those of LongformerForSequenceClassification", async () => {
  const folder = fileURLToPath(new URL("../fixtures/checkpoints/longformer-classes/", import.meta.url));
  const arrays = (name: string) => decodeSafetensors(new Uint8Array(readFileSync(`${folder}${name}`))).tensors;
  const settings = JSON.parse(readFileSync(`${folder}config.json`, "utf8"));
  const { model, names } = architectureOf({ settings: { ...settings, architectures: [] }, ownHead: false });
  const rules = [
    ...names.filter(({ theirs }) => theirs.startsWith("longformer.")),
    ...linearNames("classifier.dense", "classHead.dense", 12, 12),
    ...linearNames("classifier.out_proj", "classHead.out", 12, 3),
  ];
  const objective = classification((model as LanguageModel).body, {
    classes: 3,
    pooling: firstPosition,
    globals: [0],
    head: hiddenClassHead({ modelWidth: 12, classes: 3 }),
  });
  const stored = arrays("cases.safetensors");
  const of = (name: string) => stored.get(`case0.${name}`)!;
  const { value, gradient } = await gradientsOf(
    objective as Objective<never, LabelledBatch>,
    readNames(rules, arrays("model.safetensors"), "model.safetensors"),
    {
      inputs: convert(of("input_ids"), "int32"),
      mask: convert(of("attention_mask"), "float32"),
      labels: convert(of("labels"), "int32"),
      weights: fromNumbers([1, 1, 1], [3]),
    },
  );
  expect(value.item()).toBeCloseTo(of("loss").item(), 5);
  const { paths, leaves } = flatten(gradient, isNdArray);
  const byPath = new Map(paths.map((path, i) => [path, leaves[i]!]));
  const gradients = [...stored.keys()].flatMap((name) => name.split("case0.grad.")[1] ?? []);
  expect(gradients.length).toBe(5);
  const found = writeNames(
    rules.filter(({ theirs }) => gradients.includes(theirs)),
    byPath,
  );
  for (const name of gradients) {
    const expected = of(`grad.${name}`).toNumbers();
    const worst = found
      .get(name)!
      .toNumbers()
      .map((x, i) => Math.abs(x - expected[i]!) - 1e-3 * Math.abs(expected[i]!));
    expect(Math.max(...worst), name).toBeLessThan(2e-5);
  }
});

test("a body that takes no global tokens says so", async () => {
  const { body } = bert({ vocabularySize: 5, layers: 1, modelWidth: 8, heads: 2, length: 8 });
  const objective = classification(body, { classes: 2, globals: [0] });
  const batch = majorityTask({ symbols: 2, length: 8 }).views.labelled.trainBatch(0, 2);
  const run = gradientsOf(objective as Objective<never, LabelledBatch>, objective.init(randomKey(1)), batch);
  await expect(run).rejects.toThrow("bert: softmax attention takes no global tokens from the input");
});

describe("a majority of rows that no window holds, read from the first token", () => {
  const [length, modelWidth, steps] = [9, 32, 150];
  const task = majorityTask({ symbols: 2, length });
  const accuracy = async (globals: readonly number[]) => {
    const { body } = longformer({
      vocabularySize: task.vocabularySize,
      layers: 1,
      modelWidth,
      heads: 2,
      length,
      windows: [2],
      globals,
    });
    const objective = classification(body, {
      classes: 2,
      pooling: firstPosition,
      head: hiddenClassHead({ modelWidth, classes: 2 }),
    });
    const { evaluation } = await train({
      objective,
      task,
      view: task.views.labelled,
      optimiser: adamw(),
      schedule: warmupCosine({ peak: 3e-3, warmupSteps: 10, totalSteps: steps }),
      steps,
      batchSize: 32,
      length,
      device,
      evalTokens: 256,
    });
    return evaluation!.totals.correct! / evaluation!.totals.tokens;
  };

  test("is learned by a Longformer whose first token is global", async () => {
    expect(await accuracy([0])).toBeGreaterThan(0.95);
  });
  test("cannot be learned by one without global tokens", async () => {
    expect(await accuracy([])).toBeLessThan(0.9);
  });
});
