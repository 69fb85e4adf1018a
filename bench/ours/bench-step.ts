import { compile, type Device, flatten, isDeviceArray, randomKey } from "@tsformers/engine";
import { adamw, gpt, tokenObjective } from "tsformers";
import { suitableMicroBatches, trainStep } from "tsformers/train";
import type { StepResult } from "../gpt-step.ts";
import type { Workload } from "../workload.ts";
import { stepInputs } from "./step-inputs.ts";

/** The training step of a workload's GPT, to be called again and again. */
export type BenchStep = {
  /** Makes one update and reads the loss back. */
  run(): Promise<number>;
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
  const update = compile(step.update, { device, donate: [0] });
  const { rows, control } = stepInputs(workload);
  let state: Parameters<typeof update>[0] = step.init(model.init(randomKey(0)));
  return {
    run: async () => {
      const result = await update(state, rows, control);
      const loss = (await result.metrics.loss.read()).item();
      state = result.state;
      return loss;
    },
    parameters: () => {
      const sizes = flatten(state.params, isDeviceArray).leaves.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
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
  for (let i = 0; i < workload.warmup + workload.steps; i++) {
    const start = performance.now();
    loss.push(await step.run());
    stepMs.push(performance.now() - start);
  }
  return { stepMs: stepMs.slice(workload.warmup), loss, parameters: step.parameters() };
}
