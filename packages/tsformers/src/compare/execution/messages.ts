import type { ObjectiveName } from "../../objectives/index.ts";
import type { RunConfig } from "../../run/config.ts";

/** A configuration with the length of its rows. */
export type FullConfig = RunConfig & { readonly length: number };

/** Everything that the parameters of a run depend on: a run is identified by the hash of it. */
export type TrainJob = {
  readonly config: FullConfig;
  /** Of the data: runs on other data are other runs. */
  readonly data: string;
  /** Time for all updates, in place of the number of steps. */
  readonly seconds?: number;
  /** What it is trained for first, on the task's own inputs and with the same budget. */
  readonly pretrain?: ObjectiveName;
};

/** Everything that the cost of steps depends on. */
export type CostJob = { readonly config: FullConfig; readonly data: string };

/** What a process is started for. */
export type ChildWork =
  | {
      readonly kind: "train";
      readonly job: TrainJob;
      readonly lengths: readonly number[];
      /** Tokens, or rows with a class, of each evaluation. Default: the task's own number. */
      readonly testTokens?: number;
      /** Pause after this step and tell the loss on the validation split, instead of evaluating. */
      readonly pauseAt?: number;
    }
  | { readonly kind: "cost"; readonly job: CostJob; readonly lengths: readonly number[] };

/** What a process is told on its command line, as JSON. */
export type ChildTask = {
  readonly directory: string;
  readonly work: ChildWork;
  /** Threads inside one operator. Default: all cores. */
  readonly threads?: number;
  /** Where the parent has put the text of the task's data as tokens. */
  readonly text?: string;
};

/** What a run's process tells its parent while it works. */
export type ChildMessage =
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  /** Something worth a line of its own. */
  | { readonly kind: "note"; readonly message: string };

/** Names of the files that parent and child share in a run's directory. */
export const jobFile = "job.json";
export const resultFile = "result.json";
export const stepsFile = "steps.json";
export const errorFile = "error.log";
/** Stands in what a failed process writes before the reason that it knows; libraries may have written before. */
export const reasonMark = "tsformers failed: ";
/** There while a process works on the run, from its training to its evaluation. */
export const runLock = "work.lock";
/** In the folder of all runs: there while a process measures steps, which no other must disturb. */
export const costLock = "costs.lock";
