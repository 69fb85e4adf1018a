// What is learned: one line for each task, then what tasks are made of.

export {
  type ClassifyTextOptions,
  type ClassifyTextSettings,
  classifyTextEntry,
  classifyTextTask,
  type Documents,
  type LabelledDocument,
} from "./arena/classify-text.ts";
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
export {
  type Images,
  type LabelledImage,
  type PixelsOptions,
  type PixelsSettings,
  pixelsEntry,
  pixelsTask,
} from "./arena/pixels.ts";
export {
  type Book,
  type DocumentPair,
  type PairSource,
  type RetrievalOptions,
  type RetrievalSettings,
  retrievalEntry,
  retrievalTask,
} from "./arena/retrieval.ts";
export { copyEntry, copyTask } from "./copy.ts";
export type { Splits } from "./fixed-split.ts";
export { grammarText } from "./grammar.ts";
export type { LabelledTask } from "./labelled.ts";
export { type MajorityOptions, type MajoritySettings, majorityEntry, majorityTask } from "./majority.ts";
export type { MatchedTask } from "./matched.ts";
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
