import { type Concrete, type Given, isNdArray, mapTree, NDArray, type OnDevice, readTree } from "@tsformers/engine";
import type { Symbolic } from "../objectives/objective.ts";
import { lengthAt } from "../tasks/train-lengths.ts";
import { numbersOf } from "./named-losses.ts";
import { explainNonFinite } from "./non-finite.ts";
import type { Program } from "./programs.ts";
import type { Control, StepMetrics, TrainState } from "./step.ts";
import { stackTrees } from "./steps-per-run.ts";
import type { TrainEvent, TrainOptions } from "./train-options.ts";

type Inputs<B> = [Given<Symbolic<B>>, Given<Control>];

type Ahead<Params, B, I> = {
  /** Of the first update. */
  readonly number: number;
  readonly program: Program<Params, B>;
  readonly state: Given<TrainState<Params>>;
  readonly inputs: I;
};

/** One update or several. */
type Made<Params> = {
  readonly state: Given<TrainState<Params>>;
  /** Of one update. */
  readonly ms: number;
  readonly steps: readonly {
    readonly measured: Omit<Extract<TrainEvent, { kind: "step" }>, "kind" | "losses" | "totalSteps" | "secondsLeft">;
    readonly losses: Readonly<Record<string, number>>;
  }[];
};

/** One update. @throws NonFiniteError naming step and parameter when the loss or the gradients are not finite */
export async function makeUpdate<Params, B>(
  options: TrainOptions<Params, B>,
  { number, program, state, inputs }: Ahead<Params, B, Inputs<B>>,
): Promise<Made<Params>> {
  const start = performance.now();
  const result = await program.update(state, ...inputs);
  const metrics = await readTree(result.metrics as OnDevice<StepMetrics>);
  const ms = performance.now() - start;
  if (!areUsable(options, metrics))
    throw await explainNonFinite(number, program.step, options.device, state, ...inputs);
  return {
    state: result.state as Given<TrainState<Params>>,
    ms,
    steps: [described(options, { number, metrics, control: inputs[1], ms })],
  };
}

/** Several updates in one run; undefined where their inputs differ in shape, or one of them has no finite loss or gradients. */
export async function makeTogether<Params, B>(
  options: TrainOptions<Params, B>,
  { number, program, state, inputs }: Ahead<Params, B, readonly Inputs<B>[]>,
): Promise<Made<Params> | undefined> {
  const stacked = stackTrees(inputs);
  if (stacked === undefined) return undefined;
  await program.updates.prepare(state, ...stacked);
  const start = performance.now();
  const result = await program.updates(state, ...stacked);
  const metrics = await readTree(result.metrics as OnDevice<StepMetrics>);
  const ms = (performance.now() - start) / inputs.length;
  const each = inputs.map((_, i) => elementOf(metrics, i));
  if (!each.every((one) => areUsable(options, one))) return undefined;
  return {
    state: result.state as Given<TrainState<Params>>,
    ms,
    steps: inputs.map(([, control], i) => described(options, { number: number + i, metrics: each[i]!, control, ms })),
  };
}

type ReadMetrics = Concrete<StepMetrics>;

/** The metrics of one of several updates. */
function elementOf(metrics: ReadMetrics, i: number): ReadMetrics {
  return mapTree(metrics, isNdArray, ({ dtype, data }) => new NDArray([], dtype, data.slice(i, i + 1))) as ReadMetrics;
}

/** Whether an update was made. With a scaled loss, gradients that overflow are expected: the update was skipped. */
function areUsable({ float16 }: { readonly float16?: unknown }, { loss, gradientNorm }: ReadMetrics): boolean {
  return Number.isFinite(loss.item()) && (Number.isFinite(gradientNorm.item()) || float16 !== undefined);
}

function described<Params, B>(
  options: TrainOptions<Params, B>,
  made: { number: number; metrics: ReadMetrics; control: Given<Control>; ms: number },
): Made<Params>["steps"][number] {
  const { number, metrics, control, ms } = made;
  const tokens = options.batchSize * lengthAt(options.view, number, options.length);
  const measured = {
    step: number,
    loss: metrics.loss.item(),
    gradientNorm: metrics.gradientNorm.item(),
    learningRate: (control.learningRate as NDArray).item(),
    tokensPerSecond: (tokens * 1000) / ms,
  };
  return { measured, losses: numbersOf(metrics.losses) };
}
