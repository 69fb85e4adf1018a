import type * as z from "zod";
import { stepCount } from "../../schema/count.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts } from "../../schema/entry.ts";
import type { Schedule } from "./schedule.ts";

/** What a schedule must know of the run. */
export type ScheduleContext = {
  /** The rate at the end of the warm-up. */
  readonly learningRate: number;
  readonly steps: number;
};

type AboutSchedule = {
  /** Of the paper, where there is one. */
  readonly year?: number;
  readonly paper?: string;
  readonly formula: string;
};

/** A schedule of the learning rate as the catalogue knows it. */
export type ScheduleEntry<Name extends string = string, Settings = unknown> = AboutSchedule &
  Entry<Name, Settings, [context: ScheduleContext], Schedule>;

type ScheduleParts<Name extends string, Schema extends z.ZodObject> = AboutSchedule &
  EntryParts<Name, Schema, [context: ScheduleContext], Schedule>;

/** The entry of a schedule. */
export function scheduleEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: ScheduleParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): ScheduleEntry<Name, Settings> {
  const own: ScheduleParts<Name, Schema> = parts;
  return { ...own, ...checkedFunctions(own) };
}

/** The setting for the warm-up. */
export function warmupOption(): z.ZodOptional<z.ZodInt> {
  return stepCount(0).optional().describe("steps over which the rate rises from 0. Default: 5 % of all");
}

/** The steps of the warm-up. */
export function warmupOf(given: number | undefined, steps: number): number {
  return given ?? Math.ceil(steps / 20);
}
