import { constant, mul, type NDArray, ndarray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { textTask } from "../../src/tasks/index.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { constantRate, sgd, type TrainEvent, train } from "../../src/train/index.ts";

const device = await openCpu();
afterAll(() => device.close());

const task = textTask({ text: "a rose is a rose is a rose. ".repeat(20), tokenizer: characterTokenizer });

/** The loss named `schedule` of each step: 2 plus progress. */
async function schedule(microBatches: number): Promise<{ named: number[]; total: number; parameters: number[] }> {
  const model = gpt({ vocabularySize: task.vocabularySize, layers: 1, modelWidth: 8, heads: 2, length: 8 });
  const objective = tokenObjective({
    ...model,
    trainingLosses: (_params, { logits }, { targets, weights }, { progress }) => {
      expect(targets.shape).toEqual(logits.shape.slice(0, 2));
      expect(weights.shape).toEqual(targets.shape);
      return { schedule: mul(progress!, constant(ndarray([2], []))) };
    },
  });
  const events: TrainEvent[] = [];
  const result = await train({
    objective,
    task,
    view: task.views.next!,
    optimiser: sgd(),
    schedule: constantRate(0.1),
    steps: 4,
    batchSize: 4,
    length: 8,
    microBatches,
    device,
    onEvent: (event) => events.push(event),
  });
  const steps = events.flatMap((event) => (event.kind === "step" ? [event] : []));
  type Weights = { blocks: { mixer: { query: { weight: NDArray } } }[] };
  const [block] = (result.params as unknown as Weights).blocks;
  return {
    named: steps.map(({ losses }) => losses.schedule!),
    total: steps[1]!.loss,
    parameters: block!.mixer.query.weight.toNumbers(),
  };
}

test("losses of a model are told by name, and know how much of the training is done", async () => {
  const { named, total, parameters } = await schedule(1);
  expect(named).toEqual([0, 0.5, 1, 1.5]);
  const parts = await schedule(2);
  expect(parts.named).toEqual(named);
  expect(parts.total).toBeCloseTo(total, 5);
  for (const [i, value] of parts.parameters.entries()) expect(value).toBeCloseTo(parameters[i]!, 5);
});
