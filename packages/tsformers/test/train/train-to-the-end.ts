// Run as a process of its own by train-kill.test.ts: trains, or goes on training, in the directory it is given.
import { createHash } from "node:crypto";
import { flatten, NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";

import { gpt } from "../../src/models/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/copy.ts";
import { adamw } from "../../src/train/adamw.ts";
import { warmupCosine } from "../../src/train/schedule.ts";
import { train } from "../../src/train/train.ts";

const steps = 40;
const task = copyTask({ symbols: 5, length: 12 });
const model = gpt({
  vocabularySize: task.vocabularySize,
  layers: 2,
  modelWidth: 32,
  heads: 2,
  length: 12,
  dropoutRate: 0.1,
});
const device = await openCpu();
const result = await train({
  objective: tokenObjective(model),
  task,
  view: task.views.next,
  optimiser: adamw(),
  schedule: warmupCosine({ peak: 3e-3, warmupSteps: 10, totalSteps: steps }),
  steps,
  batchSize: 8,
  length: 12,
  device,
  clipNorm: 1,
  averageDecay: 0.9,
  microBatches: 2,
  evalEvery: 10,
  evalTokens: 64,
  checkpointEvery: 4,
  keep: 2,
  directory: process.argv[2]!,
  onEvent: (event) => event.kind === "step" && process.stdout.write(`${event.step}\n`),
});
const hash = createHash("sha256");
for (const { data } of flatten([result.params, result.average], (value): value is NDArray => value instanceof NDArray)
  .leaves) {
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
process.stdout.write(`${JSON.stringify({ hash: hash.digest("hex"), evaluation: result.evaluation })}\n`);
await device.close();
