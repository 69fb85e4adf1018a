import {
  evaluate,
  fromNumbers,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  randomKey,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { xlnet } from "../../src/models/decoders/xlnet.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { hasTwoStreams } from "../../src/models/two-streams.ts";
import type { Memories } from "../../src/objectives/objective.ts";
import { type PermutationOptions, permutationObjective } from "../../src/objectives/permutation.ts";
import { maskedView } from "../../src/tasks/masked.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, T] = [11, 10];
const model = xlnet({ vocabularySize: V, layers: 2, modelWidth: 12, heads: 3, memoryLength: 6 });
const params = mapTree(model.init(randomKey(1)), isNdArray, louder);
const row = (values: number[], dtype: "int32" | "float32" = "float32") => fromNumbers(values, [2, T], dtype);
const batch: Batch = {
  inputs: row(new Array(2 * T).fill(10), "int32"),
  targets: row([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 2, 7, 1, 8, 2, 8, 1, 8, 2, 8], "int32"),
  weights: row([0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1]),
};

function lossOf(
  options: PermutationOptions,
  given: Batch,
  seed?: number,
): Promise<{ loss: NDArray; gradient: unknown }> {
  const { loss } = permutationObjective(model, options);
  const key = seed === undefined ? undefined : keyToArray(randomKey(seed));
  const run = (params: never, batch: never, key?: Tensor) =>
    valueAndGrad((params: never) => loss(params, batch, key === undefined ? {} : { key }).total)(params);
  return evaluate(run as never, device, params as never, given as never, key as never).then((out) => {
    const { value, gradient } = out as unknown as { value: NDArray; gradient: unknown };
    return { loss: value, gradient };
  });
}

function totalsOf(given: Batch): Promise<{ lossSum: NDArray; tokens: NDArray }> {
  const { totals } = permutationObjective(model);
  const run = (params: never, batch: never) => totals(params, batch).totals;
  return evaluate(run as never, device, params as never, given as never) as never;
}

describe("permutation language modelling", () => {
  test("training draws an order by its key, evaluation goes from left to right", async () => {
    const [one, again, other] = [await lossOf({}, batch, 3), await lossOf({}, batch, 3), await lossOf({}, batch, 4)];
    expect(again.loss.item()).toBe(one.loss.item());
    expect(other.loss.item()).not.toBe(one.loss.item());
    const { lossSum, tokens } = await totalsOf(batch);
    expect(tokens.item()).toBe(7);
    expect(lossSum.item()).toBeCloseTo((await lossOf({}, batch)).loss.item(), 4);
  });

  test("what stands in the hidden places of the input counts for nothing; what the batch says was there does", async () => {
    const without = { ...batch, inputs: batch.targets };
    expect((await lossOf({}, without, 3)).loss.item()).toBe((await lossOf({}, batch, 3)).loss.item());
  });

  test("a query stream of just the predicted places gives the same loss and gradients", async () => {
    const [all, some] = [await lossOf({}, batch, 3), await lossOf({ places: 4 }, batch, 3)];
    expectSameTrees(some, all);
    // Three places: one prediction of each row is left out, but those before it are the same.
    const three = (await lossOf({ places: 3 }, batch, 3)).loss.item();
    expect(three).toBeLessThan(all.loss.item());
    expect(three).toBeGreaterThan(0);
  });

  test("rows go on from batch to batch: what was read before is remembered, and forgotten where a document begins", async () => {
    const objective = permutationObjective(model, { segments: true });
    const run = (params: never, batch: never, memories: Memories) => objective.totals(params, batch, memories);
    const read = (batch: Batch, memories: Memories) =>
      evaluate(run as never, device, params as never, batch as never, memories as never) as unknown as Promise<{
        totals: { lossSum: NDArray };
        memories: Memories;
      }>;
    const empty = objective.startMemories!(2);
    const first = await read(batch, empty);
    const behind = await read(batch, first.memories);
    const anew = await read({ ...batch, fresh: fromNumbers([1, 1], [2]) }, first.memories);
    expect(behind.totals.lossSum.item()).not.toBeCloseTo(first.totals.lossSum.item(), 2);
    expect(anew.totals.lossSum.item()).toBeCloseTo(first.totals.lossSum.item(), 4);
    expect(permutationObjective(model).startMemories).toBeUndefined();
  });

  test("the masked view of rows that go on says where documents begin", () => {
    const task = textTask({ text: "plain words ".repeat(60), tokenizer: characterTokenizer, length: 8 });
    const view = maskedView(task.views.segments, { vocabularySize: task.vocabularySize });
    const rows = task.views.segments.trainBatch(3, 2);
    const { fresh, targets } = view.trainBatch(3, 2);
    expect(fresh!.toNumbers()).toEqual(rows.fresh!.toNumbers());
    expect(targets.toNumbers()).toEqual(rows.inputs.toNumbers());
  });

  test("it needs two streams", () => {
    expect(hasTwoStreams(model)).toBe(true);
    expect(hasTwoStreams(bert({ vocabularySize: V, layers: 1, modelWidth: 8, heads: 2, length: 8 }))).toBe(false);
  });
});
