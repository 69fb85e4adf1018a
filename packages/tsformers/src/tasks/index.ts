// What is learned: one line for each task, then what tasks are made of.

export { type BabiSettings, babiEntry, babiTask } from "./babi/babi.ts";
export { copyEntry, copyTask } from "./copy.ts";
export { type MajorityOptions, type MajoritySettings, majorityEntry, majorityTask } from "./majority.ts";
export type { EvalTotals, Metric } from "./metric.ts";
export { type MusicSettings, musicEntry, musicTask } from "./music/music.ts";
export { type ProteinsSettings, proteinsEntry, proteinsTask } from "./proteins/proteins.ts";
export { type RecallOptions, type RecallSettings, recallEntry, recallTask } from "./recall.ts";
export { reverseEntry, reverseTask } from "./reverse.ts";
export { type ScanOptions, type ScanSettings, scanEntry, scanTask } from "./scan/scan.ts";
export { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolTask } from "./sequence-to-sequence.ts";
export { type MaxOptions, type MaxSettings, maxEntry, maxTask } from "./sets/max.ts";
export { type UniqueOptions, type UniqueSettings, uniqueEntry, uniqueTask } from "./sets/unique.ts";
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
export { grammarText } from "./text/grammar.ts";
export { type TextSettings, type TextTask, textEntry, textTask } from "./text/text.ts";
export { type TranslationSettings, translationEntry, translationTask } from "./translation/translation.ts";
