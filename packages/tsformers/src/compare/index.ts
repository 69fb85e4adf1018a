// Variants on tasks under one budget, and the report of them. Runs in Node only: each run has a process of its own.

export { type Baseline, frequencyBaseline } from "./baselines.ts";
export { type Axis, type Cell, type Cells, cellsOf, type Shared } from "./cells.ts";
export { everyMember } from "./every-member.ts";
export { countStep } from "./execution/measure-steps.ts";
export type { FullConfig, TrainJob } from "./execution/messages.ts";
export type { PlannedCell, PlannedRun } from "./execution/plan.ts";
export {
  type CompareEvent,
  type ComparisonOutcome,
  type ItemOutcome,
  type RunComparisonOptions,
  runComparison,
  type WorkItem,
} from "./execution/run-comparison.ts";
export { pointBaselines } from "./point-baselines.ts";
export { quantityBaseline } from "./quantity-baseline.ts";
export type {
  Budget,
  CellAbout,
  CellCosts,
  CompareRun,
  Comparison,
  CurvePoint,
  Environment,
  Figures,
  LengthFigures,
  MetricAbout,
  RunResult,
  Scored,
  StepCost,
  TaskAbout,
  Trial,
} from "./results.ts";
export { type CompareSettings, compareSchema, parseCompareSettings } from "./settings.ts";
export { type Standard, standardFor } from "./standard.ts";
export { type Answer, answerOf, type Known, type Question } from "./statistics/advise.ts";
export { type Crossover, crossoversOf, crossoverText } from "./statistics/crossovers.ts";
export { type Cost, type ParetoPoint, paretoOf } from "./statistics/pareto.ts";
export {
  type OverallRow,
  overallOf,
  type RankedBaseline,
  type RankedVariant,
  type Ranking,
  rankingOf,
  type Survival,
  survivalOf,
} from "./statistics/ranking.ts";
export {
  compareSpreads,
  type Estimate,
  intervalOfMean,
  type SeededSpread,
  type SpreadComparison,
  seeded,
  type Verdict,
} from "./statistics/statistics.ts";
export { type Spread, spread, summarise, type VariantSummary } from "./statistics/summaries.ts";
export { adviceOf } from "./text/advice.ts";
export { comparisonTables, renderTable, type TextTable } from "./text/table.ts";
