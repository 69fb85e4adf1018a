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

/** What a process is started for: to train and evaluate, or to measure steps. */
export type ChildWork = "train" | "steps";

/** Names of the files that parent and child share in a run's directory. */
export const jobFile = "job.json";
export const resultFile = "result.json";
export const stepsFile = "steps.json";
export const errorFile = "error.log";
