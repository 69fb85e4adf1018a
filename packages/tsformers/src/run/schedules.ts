import * as z from "zod";
import { stepCount } from "../schema/count.ts";
import { parseOptions } from "../schema/parse-options.ts";
import { constantRate, inverseSquareRoot, type Schedule, warmupCosine } from "../train/schedule.ts";
import type { Choice } from "./catalogue.ts";

/** What a schedule depends on besides its options. */
export type ScheduleContext = { readonly learningRate: number; readonly steps: number };

/** A schedule in the catalogue. */
export type ScheduleEntry = {
  readonly summary: string;
  readonly formula: string;
  readonly paper: string;
  options(): z.ZodObject;
  make(options: unknown, context: ScheduleContext): Schedule;
};

export type ScheduleName = "cosine" | "constant" | "noam";

const warmupSteps = stepCount(0).optional().describe("steps over which the rate rises from 0; default: 5 % of all");

/** Every schedule by name. All reach `learningRate` at the end of the warm-up. */
export const schedules: Readonly<Record<ScheduleName, ScheduleEntry>> = {
  cosine: entry(
    "cosine",
    z.strictObject({
      warmupSteps,
      floor: z.number().min(0).max(1).default(0.1).describe("last rate as a share of the peak"),
    }),
    {
      summary: "linear warm-up, then half a cosine down",
      formula: "η(s) = floor + ½(peak − floor)(1 + cos(π·(s − w)/(steps − w)))",
      paper: "Loshchilov & Hutter 2017, SGDR, arXiv:1608.03983",
      make: (options, { learningRate, steps }) =>
        warmupCosine({
          peak: learningRate,
          warmupSteps: Math.min(warmupOf(options.warmupSteps, steps), steps),
          totalSteps: steps,
          floor: options.floor * learningRate,
        }),
    },
  ),
  constant: entry("constant", z.strictObject({}), {
    summary: "the same rate at every step",
    formula: "η(s) = peak",
    paper: "",
    make: (_, { learningRate }) => constantRate(learningRate),
  }),
  noam: entry("noam", z.strictObject({ warmupSteps }), {
    summary: "linear warm-up, then down with the square root of the step",
    formula: "η(s) = peak·min(√(w/s), s/w)",
    paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    make: (options, { learningRate, steps }) => {
      const warmup = Math.max(warmupOf(options.warmupSteps, steps), 1);
      // scale / √(d·w) is the peak; with d = 1 the scale is peak·√w.
      return inverseSquareRoot({ modelWidth: 1, warmupSteps: warmup, scale: learningRate * Math.sqrt(warmup) });
    },
  }),
};

/** The schedule of a configuration. */
export function makeSchedule({ kind, ...options }: Choice, context: ScheduleContext): Schedule {
  return schedules[kind as ScheduleName].make(options, context);
}

function warmupOf(given: number | undefined, steps: number): number {
  return given ?? Math.ceil(steps / 20);
}

type EntryParts<O extends z.ZodObject> = Omit<ScheduleEntry, "options" | "make"> & {
  make(options: z.output<O>, context: ScheduleContext): Schedule;
};

function entry<O extends z.ZodObject>(name: string, options: O, { make, ...about }: EntryParts<O>): ScheduleEntry {
  return { ...about, options: () => options, make: (raw, context) => make(parseOptions(options, raw, name), context) };
}
