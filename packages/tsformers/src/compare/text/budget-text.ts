import type { Comparison } from "../results.ts";
import { countText, durationText } from "./figures.ts";
import { counted, lengthText } from "./sentences.ts";

/**
 * What the runs of a comparison, or of one of its tasks, were given: `1,000 steps`; where they differ `500 to 1,000 steps`; of another budget also
 * the steps that it made: `100k tokens (49 steps)`, `2 min 00 s (310 to 402 steps)`.
 */
export function budgetText(
  { budget: { kind, amount }, runs }: Pick<Comparison, "budget" | "runs">,
  task?: string,
): string {
  const own = runs.filter((run) => task === undefined || run.task === task);
  const steps = own.flatMap(({ config, outcome }) => {
    // Of a time each run finds out how many steps fit into it.
    if (kind === "seconds") return "result" in outcome ? [outcome.result.steps] : [];
    return [config.steps];
  });
  if (kind === "steps") return steps.length === 0 ? counted(amount, "step") : rangeText(steps);
  return `${amountText[kind](amount)}${steps.length === 0 ? "" : ` (${rangeText(steps)})`}`;
}

const amountText = {
  tokens: (amount: number) => (amount < 1e5 ? counted(amount, "token") : `${countText(amount)} tokens`),
  flops: (amount: number) =>
    `${amount < 1e12 ? countText(amount) : `${(amount / 1e12).toPrecision(2)}T`} FLOP${amount === 1 ? "" : "s"}`,
  seconds: durationText,
};

function rangeText(steps: readonly number[]): string {
  const [least, most] = [Math.min(...steps), Math.max(...steps)];
  return least === most ? counted(most, "step") : `${lengthText(least)} to ${counted(most, "step")}`;
}
