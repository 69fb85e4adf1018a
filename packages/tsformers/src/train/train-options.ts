import type { Concrete, Device } from "@tsformers/engine";
import type { Objective } from "../objectives/objective.ts";
import type { EvalTotals } from "../tasks/metric.ts";
import type { TaskView } from "../tasks/task.ts";
import type { CheckpointProblem, JsonValue } from "./checkpoint.ts";
import type { EarlyStoppingState } from "./early-stopping.ts";
import type { LossScale } from "./loss-scale.ts";
import type { MemoryEstimate } from "./memory.ts";
import type { Optimiser } from "./optimisers/optimiser.ts";
import type { Schedule } from "./schedules/schedule.ts";

export type TrainOptions<Params, B> = {
  readonly objective: Objective<Params, B>;
  readonly task: { readonly fingerprint: string };
  /** How the task is read, in the form that the objective needs. Batches are pure functions of the step, so it has no state to resume. */
  readonly view: TaskView<B>;
  readonly optimiser: Optimiser;
  readonly schedule: Schedule;
  readonly steps: number;
  readonly batchSize: number;
  /** T of training rows; of the longest, where the view has rows of several lengths. */
  readonly length: number;
  readonly device: Device;
  /** Seed of parameters and dropout. Default: 0. */
  readonly seed?: number;
  /** Initial parameters. Default: the objective's own. */
  readonly params?: Concrete<Params>;

  readonly clipNorm?: number;
  /** Parts into which a batch is divided. Default: on a CPU, parts that fit its caches; elsewhere 1. */
  readonly microBatches?: number;
  /**
   * Updates that are made in one run of the device, where nothing else is to be done between them; their events come together. Decides about
   * nothing but time. Default: on a CPU in Node, as many as take a second together, at most 16, if preparing them takes little of what is left.
   */
  readonly stepsPerRun?: number;
  readonly averageDecay?: number;
  readonly float16?: LossScale;

  /** Steps between evaluations on the valid split. Default: one evaluation at the end, which is made in any case. */
  readonly evalEvery?: number;
  /** Tokens that an evaluation scores; of rows with one answer each, the tokens that it reads, but at least 64 rows. Default: the task's own. */
  readonly evalTokens?: number;
  /** Consecutive evaluations without improvement after which the run ends. Default: never. */
  readonly patience?: number;

  /** Directory of checkpoints and metrics; a run in it is resumed. Default: nothing is written. */
  readonly directory?: string;
  /** Steps between checkpoints. Default: one checkpoint at the end, which is written in any case. */
  readonly checkpointEvery?: number;
  readonly keep?: number;
  /** Further identity of this run, such as the model's configuration; a run with another identity is not resumed. */
  readonly identity?: JsonValue;

  /** Awaited after all checks, before the first step: not called if the run fails to start. */
  readonly onBegin?: () => Promise<void>;
  readonly onEvent?: (event: TrainEvent) => void;
  /** Pauses after this step, with an evaluation and a checkpoint: called again, the run goes on. Default: it does not pause. */
  readonly pauseAt?: number;
  /** When it aborts, the current step (of several in one run: the last of them) is finished and a checkpoint written. */
  readonly signal?: AbortSignal;
  /** Start even if the estimated memory exceeds what is available. Default: false. */
  readonly force?: boolean;
};

export type TrainEvent =
  | { readonly kind: "memory"; readonly estimate: MemoryEstimate; readonly text: string }
  | { readonly kind: "resumed"; readonly step: number }
  /** A message for the user. */
  | { readonly kind: "note"; readonly text: string }
  /** The step is compiled; updates follow. */
  | { readonly kind: "prepared"; readonly step: number }
  | { readonly kind: "damaged"; readonly problem: CheckpointProblem }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
      readonly gradientNorm: number;
      /** The model's own losses, by name. */
      readonly losses: Readonly<Record<string, number>>;
      readonly learningRate: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: "evaluation"; readonly step: number; readonly totals: EvalTotals; readonly loss: number }
  | { readonly kind: "checkpoint"; readonly step: number; readonly path: string };

export type TrainResult<Params> = {
  readonly ended: "finished" | "stopped early" | "paused" | "interrupted";
  /** Updates made, including earlier calls. */
  readonly step: number;
  readonly params: Concrete<Params>;
  /** Moving average of the parameters, which evaluations use. */
  readonly average?: Concrete<Params>;
  /** Totals of the last evaluation. */
  readonly evaluation?: { readonly step: number; readonly totals: EvalTotals };
  /** Rows times length divided by the median time of a step; NaN if no step was made. */
  readonly tokensPerSecond: number;
};

/** Contents of a checkpoint besides arrays. */
export type Progress = {
  readonly stopping: EarlyStoppingState | null;
  readonly evaluation: { readonly step: number; readonly totals: EvalTotals } | null;
};
