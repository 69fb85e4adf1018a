/** Tries the cuts of a workload's batch, as `tsformers train` does before a long run: prints one JSON line, a CutResult (../gpt-step.ts). */
import { openCpu } from "@tsformers/engine/node";
import { fastestCut, microBatchCandidates, suitableMicroBatches, timeCuts } from "tsformers/train";
import type { CutResult } from "../gpt-step.ts";
import { readWorkload } from "../workload.ts";
import { benchStep } from "./bench-step.ts";

const workload = readWorkload();
const { batch, length, threads } = workload;
const device = await openCpu({ threads });
const times = await timeCuts(microBatchCandidates(batch, length), (microBatches) => {
  const step = benchStep({ ...workload, stepsPerRun: 1, microBatches }, device);
  return { run: async () => void (await step.run()), release: () => step.release() };
});
const result: CutResult = { microBatches: fastestCut(times, suitableMicroBatches(batch, length)), times: [...times] };
console.log(JSON.stringify(result));
