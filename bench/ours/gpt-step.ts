/** Our side of the gpt-step bench: prints one JSON line, a StepResult (../gpt-step.ts). */
import { flatten, isDeviceArray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import type { StepResult } from "../gpt-step.ts";
import { memoryBytes } from "../memory.ts";
import { readWorkload } from "../workload.ts";
import { benchStep } from "./bench-step.ts";

const workload = readWorkload();
const device = await openCpu({ threads: workload.threads });
const baselineBytes = memoryBytes("VmRSS");

const step = benchStep(workload, device);
const loss: number[] = [];
const stepMs: number[] = [];
for (let i = 0; i < workload.warmup + workload.steps; i++) {
  const start = performance.now();
  loss.push(await step.run());
  stepMs.push(performance.now() - start);
}
const elements = flatten(step.params(), isDeviceArray).leaves.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
const result: StepResult = {
  stepMs: stepMs.slice(workload.warmup),
  peakBytes: memoryBytes("VmHWM"),
  baselineBytes,
  loss,
  parameters: elements.reduce((a, b) => a + b),
};
console.log(JSON.stringify(result));
