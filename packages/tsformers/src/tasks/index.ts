// What is learned: one line for each task, then what tasks are made of.

export { evaluateListOps } from "./arena/evaluate-list-ops.ts";
export { type ListOpsOptions, type ListOpsSettings, listOpsEntry, listOpsTask } from "./arena/listops.ts";
export {
  type PathfinderDifficulty,
  type PathfinderOptions,
  type PathfinderSettings,
  type PathfinderSize,
  pathfinderEntry,
  pathfinderTask,
} from "./arena/pathfinder.ts";
export { copyEntry, copyTask } from "./copy.ts";
export { grammarText } from "./grammar.ts";
export { type MajorityOptions, type MajoritySettings, majorityEntry, majorityTask } from "./majority.ts";
export type { EvalTotals, Metric } from "./metric.ts";
export { type RecallOptions, type RecallSettings, recallEntry, recallTask } from "./recall.ts";
export { reverseEntry, reverseTask } from "./reverse.ts";
export { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolTask } from "./sequence-to-sequence.ts";
export type {
  Batch,
  Classes,
  EvalOptions,
  EvalSplit,
  LabelledBatch,
  MatchedBatch,
  PairBatch,
  Task,
  TaskView,
  TaskViews,
  ViewName,
} from "./task.ts";
export type { TaskContext, TaskEntry } from "./task-entry.ts";
export { type TextSettings, type TextTask, textEntry, textTask } from "./text.ts";
