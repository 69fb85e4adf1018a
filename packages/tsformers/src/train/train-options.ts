import type { Concrete, Device } from "@tsformers/engine";
import type { Objective } from "../objectives/objective.ts";
import type { EvalTotals } from "../tasks/metric.ts";
import type { TaskView } from "../tasks/task.ts";
import type { CheckpointProblem, JsonValue } from "./checkpoint.ts";
import type { EarlyStoppingState } from "./early-stopping.ts";
import type { LossScale } from "./loss-scale.ts";
import type { MemoryEstimate } from "./memory.ts";
import type { Optimiser } from "./optimiser.ts";
import type { Schedule } from "./schedule.ts";

export type TrainOptions<Params, B> = {
  readonly objective: Objective<Params, B>;
  readonly task: { readonly fingerprint: string };
  /** How the task is read, in the form that the objective needs. Batches are pure functions of the step, so a resumed run needs no state of it. */
  readonly view: TaskView<B>;
  readonly optimiser: Optimiser;
  readonly schedule: Schedule;
  readonly steps: number;
  readonly batchSize: number;
  /** T of training rows. */
  readonly length: number;
  readonly device: Device;
  /** Draws parameters and dropout, default 0. */
  readonly seed?: number;
  /** Parameters to start from; the objective's own unless given. */
  readonly params?: Concrete<Params>;

  readonly clipNorm?: number;
  /** Parts in which a batch is worked through; on a CPU those that suit its caches unless given, elsewhere one. */
  readonly microBatches?: number;
  readonly averageDecay?: number;
  readonly float16?: LossScale;

  /** Steps between evaluations on the valid split; there is one at the end in any case. */
  readonly evalEvery?: number;
  readonly evalTokens?: number;
  /** Evaluations in a row without improvement after which the run ends; it never does so unless given. */
  readonly patience?: number;

  /** Where checkpoints and metrics go. A run that is there goes on. Nothing is written unless given. */
  readonly directory?: string;
  /** Steps between checkpoints; there is one at the end in any case. */
  readonly checkpointEvery?: number;
  readonly keep?: number;
  /** What else makes this run itself, such as the model's configuration; a run of another is not resumed. */
  readonly identity?: JsonValue;

  /** Awaited when all that can be known was checked, before the first step: a start that fails never comes here. */
  readonly onBegin?: () => Promise<void>;
  readonly onEvent?: (event: TrainEvent) => void;
  /** When it aborts, the step in progress is finished and a checkpoint written. */
  readonly signal?: AbortSignal;
  /** Starts even when the estimate of memory exceeds what is available. */
  readonly force?: boolean;
};

export type TrainEvent =
  | { readonly kind: "memory"; readonly estimate: MemoryEstimate; readonly text: string }
  | { readonly kind: "resumed"; readonly step: number }
  /** Something that the user should hear. */
  | { readonly kind: "note"; readonly text: string }
  /** The step is compiled: updates are made from here on. */
  | { readonly kind: "prepared"; readonly step: number }
  | { readonly kind: "damaged"; readonly problem: CheckpointProblem }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
      readonly gradientNorm: number;
      /** What the model adds to the loss, by name. */
      readonly losses: Readonly<Record<string, number>>;
      readonly learningRate: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: "evaluation"; readonly step: number; readonly totals: EvalTotals; readonly loss: number }
  | { readonly kind: "checkpoint"; readonly step: number; readonly path: string };

export type TrainResult<Params> = {
  readonly ended: "finished" | "stopped early" | "interrupted";
  /** Updates made, also before this call. */
  readonly step: number;
  readonly params: Concrete<Params>;
  /** Moving average of the parameters; evaluations use it. */
  readonly average?: Concrete<Params>;
  /** Of the last evaluation. */
  readonly evaluation?: { readonly step: number; readonly totals: EvalTotals };
  /** Rows times length over the median time of a step; NaN when no step was made. */
  readonly tokensPerSecond: number;
};

/** What a checkpoint holds beside arrays. */
export type Progress = {
  readonly stopping: EarlyStoppingState | null;
  readonly evaluation: { readonly step: number; readonly totals: EvalTotals } | null;
};
