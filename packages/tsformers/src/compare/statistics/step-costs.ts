import type { StepCost } from "../results.ts";

/** What a step costs at a length, where that was measured. */
export type MeasuredStep = Extract<StepCost, { tokensPerSecond: number }>;

/** What has costs of steps: a variant in a summary or in a report. */
type WithSteps = { readonly steps?: readonly StepCost[] | undefined };

export function measuredSteps({ steps = [] }: WithSteps): MeasuredStep[] {
  return steps.flatMap((step) => ("missing" in step ? [] : step));
}

export function stepAt(one: WithSteps, length: number): MeasuredStep | undefined {
  return measuredSteps(one).find((step) => step.length === length);
}

/** The longest length at which a step of any of them was measured, or 0. */
export function longestStep(all: readonly WithSteps[]): number {
  return Math.max(0, ...all.flatMap((one) => measuredSteps(one).map(({ length }) => length)));
}

/** Measured costs within this share of each other may differ by chance: few steps are measured. */
export const costNoise = 0.1;

/** By which share the speeds of steps must differ at least to be told apart: more on a busy machine, and where parts of a measurement differ. */
export function speedNoise(...steps: readonly MeasuredStep[]): number {
  // Beside others that use half of the processors, a step may take twice as long.
  const slowed = (share: number) => 1 / (1 - share) - 1;
  return Math.max(costNoise, ...steps.flatMap(({ spread = 0, othersShare = 0 }) => [spread, slowed(othersShare)]));
}
