// Runs in folders, and what training writes and shows. Runs in Node only.

export { writeDecisionTransformer } from "./io/hugging-face/write-decision-transformer.ts";
export { encodePng } from "./io/png.ts";
export { readTrajectories } from "./rl/off-line/read-trajectories.ts";
export { evaluateAtLengths, type LengthResult, type LengthsOptions } from "./run/evaluate-run.ts";
export { type ExportLayout, type ExportLayouts, exportLayouts } from "./run/export-layout.ts";
export { exportModelOnnx, exportModelSafetensors } from "./run/export-model.ts";
export { type LoadedRun, loadRun } from "./run/load-run.ts";
export { logitsOf } from "./run/logits.ts";
export { type OpenedDecider, openDecider } from "./run/open-decider.ts";
export { type Generator, generatorOf, openGenerator, type WriteOptions } from "./run/open-generator.ts";
export { type OpenedModel, openModel } from "./run/open-model.ts";
export { readParams, type SavedParams } from "./run/read-params.ts";
export { scoreTranslations, type TranslationOptions, type TranslationScore } from "./run/score-translations.ts";
export { type TrainRunOptions, trainRun } from "./run/train-run.ts";
export {
  type Checkpoint,
  type CheckpointProblem,
  type CheckpointStore,
  checkpointStore,
  type JsonValue,
  type LatestCheckpoint,
  readCheckpoint,
} from "./train/checkpoint.ts";
export { type MetricRecord, type MetricsLog, openMetricsLog, readMetrics } from "./train/metrics.ts";
export { openProgress, type Progress, type ProgressState, type ProgressStream } from "./train/progress.ts";
export { showEvents } from "./train/show-events.ts";
export { openTensorBoardLog, type TensorBoardLog } from "./train/tensorboard.ts";
