// What a training step takes, measured in a process of its own: only there is the peak of its memory that of the step.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compile, type Given, keyToArray, randomKey, readTree, type Tensor } from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { countStep } from "tsformers/compare";
import { type AnyBatch, parseRunConfig, prepareRun, type RunConfigInput } from "tsformers/run";
import { sgd, suitableMicroBatches, type TrainState, trainStep } from "tsformers/train";

export type StepCost = {
  /** Processor time of a step forward and backward on one thread, the median of several. */
  readonly seconds: number;
  /** Floating point operations, counted in its program. */
  readonly flops: number;
  /** By how much the step raised the peak of resident memory. */
  readonly bytes: number;
};

const self = fileURLToPath(import.meta.url);
const steps = 5;

/** What a training step of a configuration takes, without the update of the parameters. @throws Error when its process fails */
export function stepCost(config: RunConfigInput): StepCost {
  const { status, stdout } = spawnSync(process.execPath, [self, JSON.stringify(config)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`a training step could not be measured: its process ended with ${status}`);
  return JSON.parse(stdout) as StepCost;
}

async function measure(config: RunConfigInput): Promise<StepCost> {
  const run = await prepareRun(parseRunConfig(config, "a step to be measured"));
  const { length, batchSize } = run.config;
  const device = await openDevice("cpu", { threads: 1 });
  const made = trainStep({
    loss: run.objective.loss,
    optimiser: sgd({ momentum: 0, weightDecay: 0 }),
    microBatches: suitableMicroBatches(batchSize, length),
  });
  const step = compile(
    (state: TrainState<unknown>, batch: Record<string, Tensor>, key: Tensor) => {
      const { loss, gradients } = made.gradients(state, batch, { learningRate: key, key });
      return { loss, gradients };
    },
    { device },
  );
  const state = made.init(run.objective.init(randomKey(0))) as Given<TrainState<unknown>>;
  const batch: AnyBatch = run.view.trainBatch(1, batchSize, length);
  const before = process.resourceUsage().maxRSS;
  const times: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = process.cpuUsage();
    const { loss } = await step(state, batch, keyToArray(randomKey(0)));
    await readTree({ loss });
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1e6);
  }
  const bytes = 1024 * (process.resourceUsage().maxRSS - before);
  await step.release();
  await device.close();
  const flops = countStep(run, length).flopsPerToken * batchSize * length;
  // The first step also builds its graph.
  return { seconds: times.slice(1).sort((a, b) => a - b)[(steps - 1) >> 1]!, flops, bytes };
}

if (process.argv[1] === self) console.log(JSON.stringify(await measure(JSON.parse(process.argv[2]!))));
