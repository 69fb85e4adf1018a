import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Concrete, ndarray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { adaptiveSpanTransformer, type SpanScoresParams } from "../../src/models/decoders/adaptive-span-transformer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { programs } from "../../src/train/programs.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { trainStep } from "../../src/train/step.ts";
import { train } from "../../src/train/train.ts";
import { expectSameTrees, numbersByPath } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const task = copyTask({ symbols: 3, length: 20 });
const model = adaptiveSpanTransformer({
  ...{ vocabularySize: task.vocabularySize, layers: 2, modelWidth: 8, heads: 2, maxSpan: 40, ramp: 3 },
  // Longer spans cost nothing, so that they grow.
  penalty: 0,
  startShare: 0.1,
});
const objective = tokenObjective(model);

function trained(own: typeof objective, events: string[] = [], more: Partial<Parameters<typeof train>[0]> = {}) {
  return train({
    ...(more as object),
    objective: own,
    task,
    view: task.views.next,
    optimiser: adamw(),
    schedule: constantRate(0.03),
    steps: 8,
    batchSize: 4,
    length: 20,
    device,
    onEvent: ({ kind }) => events.push(kind),
  });
}

test("a training that computes only what its spans reach ends where one ends that computes everything", async () => {
  const { spans: _, trimmed: __, ...whole } = objective;
  const events: string[] = [];
  const [found, expected] = [await trained(objective, events), await trained(whole)];
  const { scores } = found.params as unknown as { scores: Concrete<SpanScoresParams> };
  // Spans have moved far enough to need other programs.
  const moved = scores.layers!.flatMap(({ span }) => span.toNumbers()).map((share) => Math.abs(share - 0.1) * 40);
  expect(Math.max(...moved)).toBeGreaterThan(2);
  expectSameTrees(found.params, expected.params, 1e-3);
  expect(events.filter((kind) => kind === "prepared")).toHaveLength(1);
});

test("a run that is paused goes on with the program that its parameters need, and ends with the same bytes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tsformers-programs-"));
  const whole = await trained(objective);
  await trained(objective, [], { directory, pauseAt: 5 });
  const resumed = await trained(objective, [], { directory });
  expect(resumed.step).toBe(8);
  expect(numbersByPath(resumed.params)).toEqual(numbersByPath(whole.params));
  rmSync(directory, { recursive: true });
});

test("there is a program for each reach, the least used are given up, and one where nothing is learned", async () => {
  const stepOf = (own: typeof objective) => trainStep({ loss: own.loss, optimiser: adamw() });
  const compiled = programs({ objective, device }, stepOf);
  const params = model.init(randomKey(1)) as unknown as { scores: Concrete<SpanScoresParams> };
  const at = (share: number) => {
    const layers = [{ span: ndarray([0, share]) }, { span: ndarray([0, 0]) }];
    return compiled.of({ ...params, scores: { ...params.scores, layers } } as never);
  };
  const first = await at(0.1);
  expect(await at(0.1)).toBe(first);
  expect(await at(0.11)).toBe(await at(0.115));
  const seen = new Set([first]);
  for (const share of [0.3, 0.5, 0.7, 0.9]) seen.add(await at(share));
  expect(seen.size).toBe(5);
  expect(await at(0.1)).not.toBe(first);
  await compiled.release();
  const plain = gpt({ vocabularySize: task.vocabularySize, layers: 1, modelWidth: 8, heads: 2, length: 20 });
  const one = programs({ objective: tokenObjective(plain), device }, stepOf as never);
  expect(await one.of(plain.init(randomKey(1)) as never)).toBe(await one.of(plain.init(randomKey(2)) as never));
  await one.release();
});
