/** Child of the startup bench: one training step as soon as the process can; prints one JSON line, a FirstStepResult (../startup.ts). */
import { compile, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { adamw, gpt, tokenObjective } from "tsformers";
import { suitableMicroBatches, trainStep } from "tsformers/train";
import type { FirstStepResult } from "../startup.ts";
import { readWorkload } from "../workload.ts";
import { stepInputs } from "./step-inputs.ts";

// performance.now() counts from the start of the process.
const loadMs = performance.now();
const workload = readWorkload();
const { vocabulary, layers, width, heads, batch, length, threads } = workload;
const device = await openCpu({ threads });
const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
const step = trainStep({
  loss: tokenObjective(model).loss,
  optimiser: adamw(),
  clipNorm: 1,
  microBatches: suitableMicroBatches(batch, length),
});
const state = step.init(model.init(randomKey(0)));
const { rows, control } = stepInputs(workload);
const initMs = performance.now();
const update = compile(step.update, { device, donate: [0] });
await update.prepare(state, rows, control);
const preparedMs = performance.now();
const { metrics } = await update(state, rows, control);
const loss = (await metrics.loss.read()).item();
const result: FirstStepResult = { loadMs, initMs, preparedMs, stepMs: performance.now(), loss };
console.log(JSON.stringify(result));
