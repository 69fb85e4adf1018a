/** Our side of the gpt-step bench: prints one JSON line, a StepResult (../gpt-step.ts). */
import { openCpu } from "@tsformers/engine/node";
import type { StepResult } from "../gpt-step.ts";
import { memoryBytes } from "../memory.ts";
import { readWorkload } from "../workload.ts";
import { timedSteps } from "./bench-step.ts";

const workload = readWorkload();
const device = await openCpu({ threads: workload.threads });
const baselineBytes = memoryBytes("VmRSS");
const timed = await timedSteps(workload, device);
const result: StepResult = { ...timed, peakBytes: memoryBytes("VmHWM"), baselineBytes };
console.log(JSON.stringify(result));
