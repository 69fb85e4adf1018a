/** Messages of a run's process to its parent. */
export type ChildMessage =
  | {
      readonly kind: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly loss: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  /** A message to show on a line of its own. */
  | { readonly kind: "note"; readonly message: string };

/** Names of the files that parent and child share in a run's directory. */
export const jobFile = "job.json";
export const resultFile = "result.json";
export const errorFile = "error.log";
