import type { StepCost, VariantSummary } from "./results.ts";

/** From a length on, and not before, a variant is better than others. */
export type Crossover = {
  readonly variant: string;
  readonly others: readonly string[];
  readonly from: number;
  readonly by: "speed" | "memory";
};

/** Differences below this share may be chance: few steps are measured. */
const noise = 0.1;

type Measured = Extract<StepCost, { tokensPerSecond: number }>;

/** What variants are told apart by; greater is better. */
const merits: readonly { readonly by: Crossover["by"]; of(step: Measured): number }[] = [
  { by: "speed", of: ({ tokensPerSecond }) => tokensPerSecond },
  { by: "memory", of: ({ peakBytes }) => 1 / peakBytes },
];

/**
 * The lengths from which on a variant is faster than another, or takes less memory: by more than 10 % at that length and at all longer ones
 * that were measured for both, but not at the one before.
 */
export function crossoversOf(summaries: readonly VariantSummary[]): Crossover[] {
  return merits.flatMap(({ by, of: merit }) =>
    summaries.flatMap((one) => {
      const from = new Map<number, string[]>();
      for (const other of summaries) {
        const length = crossing(one, other, merit);
        if (length !== undefined) from.set(length, [...(from.get(length) ?? []), other.variant]);
      }
      return [...from]
        .sort(([a], [b]) => a - b)
        .map(([length, others]) => ({ variant: one.variant, others, from: length, by }));
    }),
  );
}

function crossing(one: VariantSummary, other: VariantSummary, merit: (step: Measured) => number): number | undefined {
  const pairs = (one.steps ?? []).flatMap((step) => {
    const theirs = other.steps?.find(({ length }) => length === step.length);
    return theirs === undefined || "missing" in step || "missing" in theirs
      ? []
      : [{ length: step.length, isBetter: merit(step) > merit(theirs) * (1 + noise) }];
  });
  const last = pairs.findLastIndex(({ isBetter }) => !isBetter);
  return last < 0 ? undefined : pairs[last + 1]?.length;
}

/** `linear is faster than softmax and lsh from length 2048 on` */
export function crossoverText({ variant, others, from, by }: Crossover): string {
  const better = by === "speed" ? "is faster than" : "takes less memory than";
  const last = others.at(-1)!;
  const whom = others.length === 1 ? last : `${others.slice(0, -1).join(", ")} and ${last}`;
  return `${variant} ${better} ${whom} from length ${from} on`;
}
