// What is learned: one line for each task, then what tasks are made of.

export { copyEntry, copyTask } from "./algorithmic/copy.ts";
export { type DyckOptions, dyckEntry, dyckTask } from "./algorithmic/dyck.ts";
export { type InductionOptions, inductionEntry, inductionTask } from "./algorithmic/induction.ts";
export { type MajorityOptions, type MajoritySettings, majorityEntry, majorityTask } from "./algorithmic/majority.ts";
export { type ParityOptions, type ParityTask, parityEntry, parityTask } from "./algorithmic/parity.ts";
export {
  type PointerChasingOptions,
  pointerChasingEntry,
  pointerChasingTask,
} from "./algorithmic/pointer-chasing.ts";
export { reverseEntry, reverseTask } from "./algorithmic/reverse.ts";
export { type SelectiveCopyOptions, selectiveCopyEntry, selectiveCopyTask } from "./algorithmic/selective-copy.ts";
export { sortEntry, sortTask } from "./algorithmic/sort.ts";
export { type SymbolOptions, type SymbolSettings, type SymbolTask, symbolTask } from "./algorithmic/symbol-task.ts";
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
export { type PicturesOptions, type PicturesSettings, picturesEntry, picturesTask } from "./arena/pictures.ts";
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
export { type BabiSettings, babiEntry, babiTask } from "./babi/babi.ts";
export { type GaussianComponent, type GaussianMixture, logDensity } from "./gaussian-mixture.ts";
export { type LabelledTask, labelledTask } from "./labelled.ts";
export { madCompressionEntry, madCompressionTask } from "./mad/compression.ts";
export { type MadFuzzyRecallOptions, madFuzzyRecallEntry, madFuzzyRecallTask } from "./mad/fuzzy-recall.ts";
export type { MadOptions } from "./mad/mad-task.ts";
export { madMemorisationEntry, madMemorisationTask } from "./mad/memorisation.ts";
export { type MadNoisyRecallOptions, madNoisyRecallEntry, madNoisyRecallTask } from "./mad/noisy-recall.ts";
export { type MadCase, type MadSettings, type MadTaskName, madCases, madProtocol } from "./mad/protocol.ts";
export { madRecallEntry, madRecallTask } from "./mad/recall.ts";
export { type MadSelectiveCopyOptions, madSelectiveCopyEntry, madSelectiveCopyTask } from "./mad/selective-copy.ts";
export type { MatchedTask } from "./matched.ts";
export {
  accuracy,
  bitsPerCharacter,
  classLoss,
  type EvalTotals,
  exactAccuracy,
  exactMatch,
  loss,
  type Metric,
  tokenAccuracy,
  tokenF1,
} from "./metric.ts";
export { type MusicSettings, musicEntry, musicTask } from "./music/music.ts";
export { type PointsRow, pointsForm, rowsOfPoints } from "./point-rows.ts";
export { type ProteinsSettings, proteinsEntry, proteinsTask } from "./proteins/proteins.ts";
export { type QuantityRow, quantitiesForm } from "./quantity-rows.ts";
export { type QuestionsOptions, type QuestionsSettings, questionsEntry, questionsTask } from "./questions/questions.ts";
export { type DocumentQuestion, readSquad } from "./questions/read-squad.ts";
export { type MqarOptions, mqarEntry, mqarTask } from "./recall/mqar.ts";
export { type MqarRows, mqarProtocol } from "./recall/mqar-protocol.ts";
export { type NeedleOptions, needleEntry, needleTask } from "./recall/needle.ts";
export { type RecallOptions, type RecallSettings, recallEntry, recallTask } from "./recall/recall.ts";
export { causalRow, type LabelledRow, labelledForm, nextForm, type PairRow, pairsForm, type Row } from "./row-forms.ts";
export { generatedRows, type MakeRow, type RowForm, type RowSource, rowsView, storedRows } from "./rows.ts";
export { type ScanOptions, type ScanSettings, scanEntry, scanTask } from "./scan/scan.ts";
export { type MaxOptions, type MaxSettings, maxEntry, maxTask } from "./sets/max.ts";
export {
  type MaxRegressionOptions,
  maxRegressionEntry,
  maxRegressionTask,
  type QuantityTask,
} from "./sets/max-regression.ts";
export {
  type MixtureOptions,
  type MixtureSettings,
  type MixtureTask,
  mixtureEntry,
  mixtureTask,
} from "./sets/mixture.ts";
export { type UniqueOptions, type UniqueSettings, uniqueEntry, uniqueTask } from "./sets/unique.ts";
export {
  type Characters,
  type UniqueCharactersOptions,
  type UniqueCharactersSettings,
  uniqueCharactersEntry,
  uniqueCharactersTask,
} from "./sets/unique-characters.ts";
export { type SpanRow, spanForm } from "./span-form.ts";
export type { Splits } from "./splits.ts";
export type {
  Batch,
  Classes,
  EvalOptions,
  EvalSplit,
  LabelledBatch,
  MatchedBatch,
  PairBatch,
  PicturesBatch,
  PointsBatch,
  QuantitiesBatch,
  Quantity,
  SpansBatch,
  Task,
  TaskView,
  TaskViews,
  TextSource,
  TrainLengths,
  ViewName,
  WindowsBatch,
} from "./task.ts";
export { type TaskContext, type TaskEntry, taskEntry } from "./task-entry.ts";
export { grammarText } from "./text/grammar.ts";
export { type TextSettings, type TextTask, textEntry, textTask } from "./text/text.ts";
export { type NeighbourTable, withNeighbours } from "./text/with-neighbours.ts";
export { offLineEnvironments, type TrajectoriesSettings, trajectoriesEntry } from "./trajectories.ts";
export { type Bleu, bleu } from "./translation/bleu.ts";
export { tokenize13a } from "./translation/tokenize-13a.ts";
export { type TranslationSettings, translationEntry, translationTask } from "./translation/translation.ts";
