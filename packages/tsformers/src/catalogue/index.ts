// Everything that has a name, by its name: what configurations, flags and tables choose from.

export { entryOf } from "./catalogue-of.ts";
export { type Compatibility, compatibility, compatibilityTable } from "./compatibility.ts";
export { type DepthName, depths } from "./depths.ts";
export { type MixerName, mixers } from "./mixers.ts";
export { type ModelName, models } from "./models.ts";
export { type OptimiserName, optimisers } from "./optimisers.ts";
export { type PatternName, patterns } from "./patterns.ts";
export { type PositionName, positions } from "./positions.ts";
export { type ScheduleName, schedules } from "./schedules.ts";
export { type SystemName, systems } from "./systems.ts";
export { createTask, type TaskName, tasks } from "./tasks.ts";
