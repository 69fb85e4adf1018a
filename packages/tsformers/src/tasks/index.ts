// What is learned: one line for each task, then what tasks are made of.

export { copyEntry, copyTask } from "./algorithmic/copy.ts";
export { type DyckOptions, dyckEntry, dyckTask } from "./algorithmic/dyck.ts";
export { type InductionOptions, inductionEntry, inductionTask } from "./algorithmic/induction.ts";
export { type MajorityOptions, type MajoritySettings, majorityEntry, majorityTask } from "./algorithmic/majority.ts";
export { type ParityOptions, type ParityTask, parityEntry, parityTask } from "./algorithmic/parity.ts";
export { reverseEntry, reverseTask } from "./algorithmic/reverse.ts";
export { type SelectiveCopyOptions, selectiveCopyEntry, selectiveCopyTask } from "./algorithmic/selective-copy.ts";
export { sortEntry, sortTask } from "./algorithmic/sort.ts";
export { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolTask } from "./algorithmic/symbol-task.ts";
export { type BabiSettings, babiEntry, babiTask } from "./babi/babi.ts";
export { madCompressionEntry, madCompressionTask } from "./mad/compression.ts";
export { type MadFuzzyRecallOptions, madFuzzyRecallEntry, madFuzzyRecallTask } from "./mad/fuzzy-recall.ts";
export type { MadOptions } from "./mad/mad-task.ts";
export { madMemorisationEntry, madMemorisationTask } from "./mad/memorisation.ts";
export { type MadNoisyRecallOptions, madNoisyRecallEntry, madNoisyRecallTask } from "./mad/noisy-recall.ts";
export { type MadCase, type MadSettings, type MadTaskName, madCases, madProtocol } from "./mad/protocol.ts";
export { madRecallEntry, madRecallTask } from "./mad/recall.ts";
export { type MadSelectiveCopyOptions, madSelectiveCopyEntry, madSelectiveCopyTask } from "./mad/selective-copy.ts";
export type { EvalTotals, Metric } from "./metric.ts";
export { type MusicSettings, musicEntry, musicTask } from "./music/music.ts";
export { type ProteinsSettings, proteinsEntry, proteinsTask } from "./proteins/proteins.ts";
export { type MqarOptions, mqarEntry, mqarTask } from "./recall/mqar.ts";
export { type MqarRows, mqarProtocol } from "./recall/mqar-protocol.ts";
export { type NeedleOptions, needleEntry, needleTask } from "./recall/needle.ts";
export { type RecallOptions, type RecallSettings, recallEntry, recallTask } from "./recall/recall.ts";
export { type ScanOptions, type ScanSettings, scanEntry, scanTask } from "./scan/scan.ts";
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
