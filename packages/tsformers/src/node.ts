// What reads and writes files or starts processes, and so runs in Node only.
export { type CompareOptions, type PlannedRun, planRuns } from "./compare/plan.ts";
export { renderReport } from "./compare/report.ts";
export { type CompareRun, type Comparison, type RunResult, summarise, type VariantSummary } from "./compare/results.ts";
export { type CompareEvent, type ComparisonOutcome, runComparison } from "./compare/run-comparison.ts";
export { type VerifyRow, verifyDirectory } from "./compare/verify.ts";
export { exportOnnx } from "./io/export-onnx.ts";
export { loadHuggingFace } from "./io/hugging-face/load.ts";
export { readText } from "./io/read-text.ts";
export { evaluateAtLengths, type LengthResult } from "./run/evaluate-run.ts";
export { exportRunOnnx, exportRunSafetensors } from "./run/export-run.ts";
export { type LoadedRun, loadRun } from "./run/load-run.ts";
export { type Generator, generatorOf, openGenerator, type WriteOptions } from "./run/open-generator.ts";
export { type TrainRunOptions, trainRun } from "./run/train-run.ts";
export { type Checkpoint, type CheckpointStore, checkpointStore, readCheckpoint } from "./train/checkpoint.ts";
export { type MetricRecord, openMetricsLog, readMetrics } from "./train/metrics.ts";
export { openProgress, type Progress } from "./train/progress.ts";
export { showEvents } from "./train/show-events.ts";
export { openTensorBoardLog, type TensorBoardLog } from "./train/tensorboard.ts";
