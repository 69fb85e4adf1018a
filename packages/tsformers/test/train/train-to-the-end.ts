// Run as a process of its own by train-kill.test.ts: trains, or goes on training, in the directory it is given: a GPT on rows that have
// nothing to do with each other, or a Transformer-XL whose rows go on from batch to batch.
import { createHash } from "node:crypto";
import { flatten, NDArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";

import { gpt } from "../../src/models/decoders/gpt.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import type { Objective } from "../../src/objectives/objective.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import type { Batch } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { warmupCosine } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const steps = 40;
const [directory, what] = process.argv.slice(2);

function rowsApart() {
  const task = copyTask({ symbols: 5, length: 12 });
  const { vocabularySize } = task;
  const sizes = { vocabularySize, layers: 2, modelWidth: 32, heads: 2, length: 12, dropoutRate: 0.1 };
  return { objective: tokenObjective(gpt(sizes)), task, view: task.views.next };
}

function rowsThatGoOn() {
  const text = Array.from({ length: 4000 }, (_, i) => "abcdefgh"[(i * i * 7 + Math.floor(i / 9)) % 8]).join("");
  const task = textTask({ text, tokenizer: characterTokenizer, length: 12 });
  const { vocabularySize } = task;
  const sizes = { vocabularySize, layers: 2, modelWidth: 32, heads: 2, memoryLength: 20, dropoutRate: 0.1 };
  return { objective: tokenObjective(transformerXl(sizes), { segments: true }), task, view: task.views.segments };
}

const { objective, task, view } = what === "segments" ? rowsThatGoOn() : rowsApart();
const device = await openCpu();
const result = await train({
  objective: objective as Objective<never, Batch>,
  task,
  view,
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
  directory: directory!,
  onEvent: (event) => event.kind === "step" && process.stdout.write(`${event.step}\n`),
});
const hash = createHash("sha256");
for (const { data } of flatten([result.params, result.average], (value): value is NDArray => value instanceof NDArray)
  .leaves) {
  hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}
process.stdout.write(`${JSON.stringify({ hash: hash.digest("hex"), evaluation: result.evaluation })}\n`);
await device.close();
