// Several runs under one budget, and the report of them. Runs in Node only: each run has a process of its own.

export { type Crossover, crossoversOf } from "./crossovers.ts";
export { labelsOf } from "./labels.ts";
export type { PlannedRun, RunJob } from "./plan.ts";
export type { CompareOptions } from "./prepare-comparison.ts";
export { type ReportOptions, renderReport } from "./report/render-report.ts";
export {
  type CompareRun,
  type Comparison,
  type CurvePoint,
  type Environment,
  type LengthLoss,
  type RunResult,
  type Spread,
  type StepCost,
  summarise,
  type VariantSummary,
} from "./results.ts";
export {
  type CompareEvent,
  type ComparisonOutcome,
  type RunComparisonOptions,
  runComparison,
} from "./run-comparison.ts";
