// How the learning rate changes over the steps: one line for each schedule.

export { constantEntry, constantRate } from "./constant.ts";
export { type CosineSettings, cosineEntry, warmupCosine } from "./cosine.ts";
export { inverseSquareRoot, type NoamSettings, noamEntry } from "./noam.ts";
export type { Schedule } from "./schedule.ts";
export type { ScheduleContext, ScheduleEntry } from "./schedule-entry.ts";
