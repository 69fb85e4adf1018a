import * as z from "zod";
import type { NoSettings } from "../../schema/entry.ts";
import { requireRate, type Schedule } from "./schedule.ts";
import { type ScheduleEntry, scheduleEntry } from "./schedule-entry.ts";

/** The same rate at every step: `η(s) = rate`. */
export function constantRate(rate: number): Schedule {
  requireRate("constant", "rate", rate);
  return () => rate;
}

export const constantEntry: ScheduleEntry<"constant", NoSettings> = /* @__PURE__ */ scheduleEntry({
  name: "constant",
  title: "Constant",
  summary: "the same rate at every step",
  formula: "η(s) = peak",
  options: () => z.strictObject({}),
  make: (_, { learningRate }) => constantRate(learningRate),
});
