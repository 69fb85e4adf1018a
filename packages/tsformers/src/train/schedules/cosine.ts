import * as z from "zod";
import { requireRate, type Schedule } from "./schedule.ts";
import { type ScheduleEntry, scheduleEntry, warmupOf, warmupOption } from "./schedule-entry.ts";

const defaults = { floor: 0.1 };

/**
 * Linear warm-up to a peak, then half a cosine down to `last = floor · peak`, where the rate stays.
 *
 * `η(s) = peak · s / warmupSteps` for `s < warmupSteps`, afterwards
 * `η(s) = last + ½ (peak − last) (1 + cos(π · (s − warmupSteps) / (totalSteps − warmupSteps)))`, and `last` for `s ≥ totalSteps`.
 *
 * @param options.floor the last rate as a share of the peak. Default: 0.1
 * @throws RangeError when `warmupSteps` is not in 0 … `totalSteps`, or `floor` is not in 0 … 1
 * @source Loshchilov & Hutter 2017, "SGDR", eq. 5, arXiv:1608.03983, without restarts
 */
export function warmupCosine(options: {
  peak: number;
  warmupSteps: number;
  totalSteps: number;
  floor?: number;
}): Schedule {
  const { peak, warmupSteps, totalSteps, floor = defaults.floor } = options;
  requireRate("warmupCosine", "peak", peak);
  if (!(floor >= 0 && floor <= 1)) throw new RangeError(`warmupCosine: floor must lie between 0 and 1, got ${floor}`);
  if (!(warmupSteps >= 0 && warmupSteps <= totalSteps)) {
    throw new RangeError(
      `warmupCosine: warmupSteps must lie between 0 and totalSteps, got ${warmupSteps} of ${totalSteps}`,
    );
  }
  const last = floor * peak;
  return (step) => {
    if (step < warmupSteps) return (peak * step) / warmupSteps;
    if (step >= totalSteps) return last;
    const done = (step - warmupSteps) / (totalSteps - warmupSteps);
    return last + 0.5 * (peak - last) * (1 + Math.cos(Math.PI * done));
  };
}

export type CosineSettings = { readonly warmupSteps?: number; readonly floor?: number };

export const cosineEntry: ScheduleEntry<"cosine", CosineSettings> = /* @__PURE__ */ scheduleEntry({
  name: "cosine",
  title: "Cosine",
  year: 2017,
  paper: "Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts, arXiv:1608.03983",
  summary: "linear warm-up, then half a cosine down",
  formula: "η(s) = last + ½(peak − last)(1 + cos(π·(s − w)/(steps − w))), last = floor·peak",
  options: () =>
    z.strictObject({
      warmupSteps: warmupOption(),
      floor: z.number().min(0).max(1).default(defaults.floor).describe("last rate as a share of the peak"),
    }),
  make: ({ warmupSteps, floor }, { learningRate, steps }) =>
    warmupCosine({
      peak: learningRate,
      warmupSteps: Math.min(warmupOf(warmupSteps, steps), steps),
      totalSteps: steps,
      floor,
    }),
});
