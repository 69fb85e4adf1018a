/** Our side of the gpt-step bench in a page: `window.train`, which browser-child.ts calls, returns a StepResult (../gpt-step.ts). */
import { openWasm } from "@tsformers/engine/web";
import type { StepResult } from "../gpt-step.ts";
import type { Workload } from "../workload.ts";
import { timedSteps } from "./bench-step.ts";

async function train(workload: Workload): Promise<StepResult> {
  if (!globalThis.crossOriginIsolated)
    throw new Error("the page is not cross-origin isolated: there would be one thread");
  return timedSteps(workload, await openWasm({ threads: workload.threads }));
}

Object.assign(globalThis, { train });
