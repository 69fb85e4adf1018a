import { fromNumbers, type Given, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { calm } from "../../src/models/encoder-decoders/calm.ts";
import { t5 } from "../../src/models/encoder-decoders/t5.ts";
import type { PairBatch } from "../../src/tasks/task.ts";
import { evaluateDepth } from "../../src/train/evaluate-depth.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { vocabularySize: 7, layers: 1, decoderLayers: 3, modelWidth: 8, heads: 2 };
const row = (values: readonly number[]) => fromNumbers(values, [1, 4], "int32");
/** Two batches, of which two positions and one count. */
const batches: PairBatch[] = [
  [0, 1, 1, 0],
  [0, 0, 0, 1],
].map((weights) => ({
  source: row([1, 2, 3, 4]),
  sourceWeights: fromNumbers([1, 1, 1, 1], [1, 4]),
  inputs: row([0, 1, 2, 3]),
  targets: row([1, 2, 3, 4]),
  weights: fromNumbers(weights, [1, 4]),
}));

test("scored tokens alone count, over all batches, in layers of the decoder", async () => {
  const of = async (threshold: number) => {
    const model = calm({ ...sizes, threshold });
    return evaluateDepth(model, model.init(randomKey(1)) as Given<never>, batches, device);
  };
  expect(await of(-1)).toMatchObject({ tokens: 3, meanLayers: 1 });
  expect(await of(2)).toMatchObject({ tokens: 3, meanLayers: 3 });
  const plain = t5(sizes);
  const found = await evaluateDepth(plain, plain.init(randomKey(1)) as Given<never>, batches, device);
  expect(found.meanLayers).toBe(3);
  expect([0, 1, 2, 3]).toContain(Math.round(3 * found.accuracy));
});

test("nothing scored is refused", async () => {
  const model = t5(sizes);
  const none = batches.map((batch) => ({ ...batch, weights: fromNumbers([0, 0, 0, 0], [1, 4]) }));
  await expect(evaluateDepth(model, model.init(randomKey(1)) as Given<never>, none, device)).rejects.toThrow(
    "no token of these batches is scored",
  );
});
