import * as z from "zod";
import { requireRate, type Schedule } from "./schedule.ts";
import { type ScheduleEntry, scheduleEntry, warmupOf, warmupOption } from "./schedule-entry.ts";

/**
 * Noam schedule: linear warm-up, then decay with the inverse square root of the step.
 *
 * `η(s) = scale · d^(−½) · min(s^(−½), s · warmupSteps^(−3/2))` with d the model width; the peak, at `s = warmupSteps`,
 * is `scale / √(d · warmupSteps)`.
 *
 * @param options.warmupSteps 4,000 in the paper
 * @param options.scale Default: 1, as in the paper
 * @source Vaswani et al. 2017, "Attention Is All You Need", eq. 3, arXiv:1706.03762
 */
export function inverseSquareRoot(options: { modelWidth: number; warmupSteps: number; scale?: number }): Schedule {
  const { modelWidth, warmupSteps, scale = 1 } = options;
  requireRate("inverseSquareRoot", "scale", scale);
  if (!(modelWidth > 0)) throw new RangeError(`inverseSquareRoot: modelWidth must be positive, got ${modelWidth}`);
  if (!(warmupSteps > 0)) throw new RangeError(`inverseSquareRoot: warmupSteps must be positive, got ${warmupSteps}`);
  return (step) => scale * modelWidth ** -0.5 * Math.min(step ** -0.5, step * warmupSteps ** -1.5);
}

export type NoamSettings = { readonly warmupSteps?: number };

export const noamEntry: ScheduleEntry<"noam", NoamSettings> = /* @__PURE__ */ scheduleEntry({
  name: "noam",
  title: "Noam",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "linear warm-up, then down with the square root of the step",
  formula: "η(s) = peak·min(√(w/s), s/w)",
  options: () => z.strictObject({ warmupSteps: warmupOption() }),
  make: (settings, { learningRate, steps }) => {
    const warmupSteps = Math.max(warmupOf(settings.warmupSteps, steps), 1);
    // scale / √(d·w) is the peak; with d = 1 the scale is peak·√w.
    return inverseSquareRoot({ modelWidth: 1, warmupSteps, scale: learningRate * Math.sqrt(warmupSteps) });
  },
});
