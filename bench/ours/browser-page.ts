/** Our side of the gpt-step bench in a page: `window.train`, which browser-child.ts calls, returns a StepResult (../gpt-step.ts). */
import { flatten, isDeviceArray } from "@tsformers/engine";
import { openWasm } from "@tsformers/engine/web";
import type { StepResult } from "../gpt-step.ts";
import type { Workload } from "../workload.ts";
import { benchStep } from "./bench-step.ts";

async function train(workload: Workload): Promise<StepResult> {
  if (!globalThis.crossOriginIsolated)
    throw new Error("the page is not cross-origin isolated: there would be one thread");
  const device = await openWasm({ threads: workload.threads });
  const step = benchStep(workload, device);
  const loss: number[] = [];
  const stepMs: number[] = [];
  for (let i = 0; i < workload.warmup + workload.steps; i++) {
    const start = performance.now();
    loss.push(await step.run());
    stepMs.push(performance.now() - start);
  }
  const elements = flatten(step.params(), isDeviceArray).leaves.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
  return { stepMs: stepMs.slice(workload.warmup), loss, parameters: elements.reduce((a, b) => a + b) };
}

Object.assign(globalThis, { train });
