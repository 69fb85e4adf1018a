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
