import {
  type Concrete,
  compile,
  type Device,
  fromNumbers,
  keyToArray,
  type NDArray,
  randomKey,
  readTree,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mixers } from "../../src/catalogue/mixers.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { sgd } from "../../src/train/optimisers/sgd.ts";
import { type TrainState, trainStep } from "../../src/train/step.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const sizes = { modelWidth: 8, heads: 2, length: 16 };
const [V, batch] = [11, 2];

type Trained = { trainingState: Record<string, Record<string, NDArray>> };

/** Trains a model whose second layer has a training state, and returns it after each update. */
async function statesOf(
  name: "routing" | "performer",
  options: object,
  settings: object = {},
): Promise<Trained["trainingState"][]> {
  const mixer = mixers[name].make(options, { ...sizes, causal: true });
  const plain = mixers.linear.make({}, { ...sizes, causal: true });
  const model = gpt({ vocabularySize: V, layers: 2, ...sizes, mixer: (layer) => (layer === 1 ? mixer : plain) });
  const objective = tokenObjective(model);
  const step = trainStep({
    loss: objective.loss,
    optimiser: adamw({ weightDecay: 0.5 }),
    averageDecay: 0.9,
    ...settings,
  });
  let state = step.init(objective.init(randomKey(1)));
  const params = () => (state as unknown as { params: Trained }).params;
  const seen = [params().trainingState];
  const update = compile(step.update as never, { device }) as unknown as (
    ...args: unknown[]
  ) => Promise<{ state: never }>;
  const tokens = Array.from({ length: batch * sizes.length }, (_, i) => (i * i + 3) % V);
  const rows = fromNumbers(tokens, [batch, sizes.length], "int32");
  const weights = fromNumbers(
    tokens.map(() => 1),
    [batch, sizes.length],
  );
  for (let i = 1; i <= 3; i++) {
    const control = { learningRate: fromNumbers([1e-3], []), key: keyToArray(randomKey(i)) };
    const out = await update(state, { inputs: rows, targets: rows, weights }, control);
    state = (await readTree(out.state)) as unknown as Concrete<TrainState<never>>;
    seen.push(params().trainingState);
    expect((state as unknown as { average: Trained }).average.trainingState).toEqual(params().trainingState);
  }
  return seen;
}

const numbers = (array: NDArray | undefined) => array!.toNumbers();

test.each([{}, { microBatches: 2 }, { float16: lossScale() }])(
  "centroids follow their members, %o",
  async (settings) => {
    const seen = await statesOf("routing", { centroids: 4 }, settings);
    expect(Object.keys(seen[0]!)).toEqual(["1"]);
    for (let i = 1; i < seen.length; i++) {
      for (const [name, array] of Object.entries(seen[i]!["1"]!)) {
        expect(numbers(array), name).not.toEqual(numbers(seen[i - 1]!["1"]![name]));
        expect(numbers(array).every(Number.isFinite)).toBe(true);
      }
    }
  },
);

test("directions are drawn again when their time has come, and never trained", async () => {
  const seen = await statesOf("performer", { features: 4, redrawEvery: 2 });
  const matrices = seen.map((state) => numbers(state["1"]!.matrix));
  expect(seen.map((state) => numbers(state["1"]!.step))).toEqual([[0], [1], [2], [3]]);
  const changes = matrices.slice(1).map((matrix, i) => JSON.stringify(matrix) !== JSON.stringify(matrices[i]));
  expect(changes.filter((changed) => changed).length).toBe(1);
});

test("spans cost something in the loss, and are put back between 0 and 1 after each update", async () => {
  const { scores } = positions["adaptive-span"].make({ startShare: 0.9, penalty: 0.5 }, { ...sizes, layers: 2 });
  const model = gpt({ vocabularySize: V, layers: 2, ...sizes, scheme: { scores: scores! } });
  const objective = tokenObjective(model);
  const { project: settle, loss } = objective;
  const step = trainStep({ loss, project: settle!.bind(objective), optimiser: sgd() });
  const update = compile(step.update as never, { device }) as unknown as (
    ...args: unknown[]
  ) => Promise<{ state: never }>;
  const rows = fromNumbers(new Array(batch * sizes.length).fill(3), [batch, sizes.length], "int32");
  const weights = fromNumbers(new Array(batch * sizes.length).fill(1), [batch, sizes.length]);
  // So long a step along the gradient of the penalty takes spans far below 0.
  const control = { learningRate: fromNumbers([1e3], []), key: keyToArray(randomKey(1)) };
  const out = await update(step.init(objective.init(randomKey(1))), { inputs: rows, targets: rows, weights }, control);
  const { params } = (await readTree(out.state)) as unknown as { params: { scores: { span: NDArray }[] } };
  for (const { span } of params.scores) expect(numbers(span)).toEqual([0, 0]);
});
