// Whole runs as data: a configuration, and what is built from it. What opens folders is in `tsformers/node`.

export type { Choice, Choices } from "./catalogue.ts";
export { parseRunConfig, type RunConfig, type RunConfigInput, runSchema } from "./config.ts";
export { ConfigError } from "./config-error.ts";
export { countParameters } from "./count-parameters.ts";
export { type AnyModel, type CheckpointChoice, type ModelChoice, makeModel } from "./model.ts";
export { type AnyBatch, type PreparedRun, prepareRun, type Reading, readingOf } from "./prepare.ts";
