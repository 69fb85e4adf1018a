import { compile, type Device, flatten, isDeviceArray, randomKey, sizeOfShape } from "@tsformers/engine";
import { adamw, gpt, tokenObjective } from "tsformers";
import { stackTrees, suitableMicroBatches, trainStep } from "tsformers/train";
import type { StepResult } from "../gpt-step.ts";
import type { Workload } from "../workload.ts";
import { stepInputs } from "./step-inputs.ts";

/** The training step of a workload's GPT, to be called again and again. */
export type BenchStep = {
  /** Makes the updates of one run, usually one, and reads their losses back. */
  run(): Promise<readonly number[]>;
  /** Number of parameters, from the first run on. */
  parameters(): number;
  release(): Promise<void>;
};

/** Makes the model of a workload and its training step; it is prepared by the first run. */
export function benchStep(workload: Workload, device: Device): BenchStep {
  const { vocabulary, layers, width, heads, batch, length } = workload;
  const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
  const step = trainStep({
    loss: tokenObjective(model).loss,
    optimiser: adamw({ beta1: 0.9, beta2: 0.95, weightDecay: 0.1 }),
    clipNorm: 1,
    microBatches: workload.microBatches ?? suitableMicroBatches(batch, length),
  });
  const { stepsPerRun = 1 } = workload;
  const update = compile(stepsPerRun === 1 ? step.update : step.updates, { device, donate: [0] });
  const { rows, control } = stepInputs(workload);
  const one = [rows, control] as const;
  const given = stepsPerRun === 1 ? one : stackTrees(Array.from({ length: stepsPerRun }, () => one))!;
  let state: Parameters<typeof update>[0] = step.init(model.init(randomKey(0)));
  return {
    run: async () => {
      const result = await update(state, ...given);
      const loss = await result.metrics.loss.read();
      state = result.state;
      return loss.toNumbers();
    },
    parameters: () => {
      const sizes = flatten(state.params, isDeviceArray).leaves.map(({ shape }) => sizeOfShape(shape));
      return sizes.reduce((a, b) => a + b);
    },
    release: () => update.release(),
  };
}

/** Makes all updates of a workload, in Node or in a page, and times those after the warm-up. */
export async function timedSteps(workload: Workload, device: Device): Promise<StepResult> {
  const step = benchStep(workload, device);
  const loss: number[] = [];
  const stepMs: number[] = [];
  while (loss.length < workload.warmup + workload.steps) {
    const start = performance.now();
    const losses = await step.run();
    const ms = (performance.now() - start) / losses.length;
    loss.push(...losses);
    stepMs.push(...losses.map(() => ms));
  }
  return { stepMs: stepMs.slice(workload.warmup), loss, parameters: step.parameters() };
}
