/** Our side of the gpt-step bench: prints one JSON line, a StepResult (../gpt-step.ts). */
import { compile, flatten, isDeviceArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { adamw, gpt, tokenObjective } from "tsformers";
import { suitableMicroBatches, trainStep } from "tsformers/train";
import type { StepResult } from "../gpt-step.ts";
import { memoryBytes } from "../memory.ts";
import { readWorkload } from "../workload.ts";
import { stepInputs } from "./step-inputs.ts";

const workload = readWorkload();
const { vocabulary, layers, width, heads, batch, length, threads } = workload;
const device = await openCpu({ threads });
const baselineBytes = memoryBytes("VmRSS");

const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
const step = trainStep({
  loss: tokenObjective(model).loss,
  optimiser: adamw({ beta1: 0.9, beta2: 0.95, weightDecay: 0.1 }),
  clipNorm: 1,
  microBatches: suitableMicroBatches(batch, length),
});
const update = compile(step.update, { device, donate: [0] });
const { rows, control } = stepInputs(workload);

let state: Parameters<typeof update>[0] = step.init(model.init(randomKey(0)));
const loss: number[] = [];
const stepMs: number[] = [];
for (let i = 0; i < workload.warmup + workload.steps; i++) {
  const start = performance.now();
  const result = await update(state, rows, control);
  loss.push((await result.metrics.loss.read()).item());
  state = result.state;
  stepMs.push(performance.now() - start);
}
const elements = flatten(state.params, isDeviceArray).leaves.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
const result: StepResult = {
  stepMs: stepMs.slice(workload.warmup),
  peakBytes: memoryBytes("VmHWM"),
  baselineBytes,
  loss,
  parameters: elements.reduce((a, b) => a + b),
};
console.log(JSON.stringify(result));
