// Whole runs as data: a configuration, and what is built from it. What opens folders is in `tsformers/node`.

export type { Choice } from "./catalogue.ts";
export { ConfigError, parseRunConfig, type RunConfig, type RunConfigInput, runSchema } from "./config.ts";
export { countParameters } from "./count-parameters.ts";
export { type AnyModel, type CheckpointChoice, type ModelChoice, makeModel } from "./model.ts";
export { makeOptimiser, type OptimiserEntry, type OptimiserName, optimisers } from "./optimisers.ts";
export { type AnyBatch, type PreparedRun, prepareRun, type Reading, readingOf } from "./prepare.ts";
export { makeSchedule, type ScheduleContext, type ScheduleEntry, type ScheduleName, schedules } from "./schedules.ts";
