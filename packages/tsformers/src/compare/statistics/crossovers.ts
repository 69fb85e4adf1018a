import { lengthText, listText } from "../text/sentences.ts";
import { costNoise, type MeasuredStep, measuredSteps, speedNoise, stepAt } from "./step-costs.ts";
import type { VariantSummary } from "./summaries.ts";

/** Variants are cheaper than others from a length on and not before, or at every length that was measured. */
export type Crossover = {
  readonly variants: readonly string[];
  readonly others: readonly string[];
  /** Whether `others` are all that were measured. */
  readonly all: boolean;
  /** The first length at which they are. */
  readonly from: number;
  /** The last length, where they are at all measured ones; absent where there was one before at which they are not. */
  readonly to?: number;
  /** Present where nothing longer was measured of both: one length only shows it. */
  readonly isLongest?: true;
  readonly by: "speed" | "memory";
};

/** With more variants than this only what has to do with the reference is told, in tables. */
const many = 5;

/** What variants are told apart by; greater is better. */
const merits: Readonly<Record<Crossover["by"], (step: MeasuredStep) => number>> = {
  speed: ({ tokensPerSecond }) => tokensPerSecond,
  memory: ({ peakBytes }) => 1 / peakBytes,
};

/**
 * Whether crossovers are told as a column of tables, the first length from which on each is better than the reference: of many variants, sentences
 * would be lists of names.
 */
export function areCrossoversInTables(summaries: readonly VariantSummary[], reference: string | undefined): boolean {
  const measured = summaries.filter((one) => measuredSteps(one).length > 0);
  return measured.length > many && measured.some(({ variant }) => variant === reference);
}

/** The first length from which on a variant is better than another, by more than 10 %, at all lengths measured for both. */
export function betterFrom(one: VariantSummary, other: VariantSummary, by: Crossover["by"]): number | undefined {
  return crossing(one, other, by)?.from;
}

/**
 * The lengths from which on variants are faster than others, or take less memory: by more than 10 % at that length and at all longer ones that
 * were measured for both. Those that are at all lengths are told against the reference, and where they are against all others. Measured at one
 * length only nothing crosses; there are then none where there is a reference, with which costs are compared anyhow.
 *
 * @param summaries of one task
 * @param options.reference the variant that others are to be compared with
 */
export function crossoversOf(
  summaries: readonly VariantSummary[],
  { reference }: { readonly reference?: string } = {},
): Crossover[] {
  const measured = summaries.filter((one) => measuredSteps(one).length > 0);
  const lengths = new Set(measured.flatMap((one) => measuredSteps(one).map(({ length }) => length)));
  if (lengths.size < 2 && reference !== undefined) return [];
  return (["speed", "memory"] as const).flatMap((by) => {
    const told = measured.flatMap((one) => {
      const pairs = measured.flatMap((other) => {
        const found = other === one ? undefined : crossing(one, other, by);
        return found === undefined ? [] : [{ ...found, other: other.variant }];
      });
      const always = pairs.filter(({ to }) => to !== undefined);
      const isAlwaysBest = always.length === measured.length - 1;
      const wanted = pairs.filter(({ to, other }) => {
        if (to !== undefined && isAlwaysBest) return true;
        const isAboutReference = other === reference || one.variant === reference;
        if (to !== undefined) return measured.length === 2 || other === reference;
        return measured.length <= many || reference === undefined || isAboutReference;
      });
      // One statement for all others, though lengths that pairs have in common differ.
      const to = Math.max(...always.map((pair) => pair.to!));
      const from = Math.min(...always.map((pair) => pair.from));
      return grouped(isAlwaysBest ? wanted.map(({ other }) => ({ other, from, to })) : wanted).map((group) => ({
        ...group,
        variant: one.variant,
      }));
    });
    return merged(told).map(({ variants, others, from, to, isLongest }) => ({
      variants,
      others,
      all: others.length > 1 && others.length + 1 === measured.length,
      from,
      ...(to !== undefined && { to }),
      ...(isLongest && { isLongest }),
      by,
    }));
  });
}

type Range = { readonly from: number; readonly to?: number | undefined; readonly isLongest?: true };

/** The others of each range. */
function grouped(pairs: readonly (Range & { readonly other: string })[]): (Range & { readonly others: string[] })[] {
  const groups = new Map<string, Range & { readonly others: string[] }>();
  for (const { other, ...range } of pairs) {
    const key = JSON.stringify(range);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { ...range, others: [other] });
    else known.others.push(other);
  }
  return [...groups.values()].sort((a, b) => a.from - b.from);
}

/** The variants of which the same is said. */
function merged(
  told: readonly (Range & { readonly variant: string; readonly others: readonly string[] })[],
): (Range & { readonly variants: string[]; readonly others: readonly string[] })[] {
  const groups = new Map<string, Range & { readonly variants: string[]; readonly others: readonly string[] }>();
  for (const { variant, ...what } of told) {
    const key = JSON.stringify(what);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { ...what, variants: [variant] });
    else known.variants.push(variant);
  }
  return [...groups.values()];
}

function crossing(one: VariantSummary, other: VariantSummary, by: Crossover["by"]): Range | undefined {
  const merit = merits[by];
  const pairs = measuredSteps(one)
    .flatMap((step) => {
      const theirs = stepAt(other, step.length);
      if (theirs === undefined) return [];
      const noise = by === "speed" ? speedNoise(step, theirs) : costNoise;
      return [{ length: step.length, isBetter: merit(step) > merit(theirs) * (1 + noise) }];
    })
    .sort((a, b) => a.length - b.length);
  const last = pairs.findLastIndex(({ isBetter }) => !isBetter);
  const first = pairs[last + 1];
  if (first === undefined) return undefined;
  const longest = pairs.at(-1)!.length;
  if (last < 0) return { from: first.length, to: longest };
  return { from: first.length, ...(first.length === longest && { isLongest: true }) };
}

/** `From length 2,048 on, linear and performer are faster than softmax.` */
export function crossoverText({ variants, others, all, by, ...range }: Crossover): string {
  const isOne = variants.length === 1;
  const better =
    by === "speed" ? `${isOne ? "is" : "are"} faster than` : `${isOne ? "takes" : "take"} less memory than`;
  return `${whereText(range)} ${listText(variants)} ${better} ${all ? "all others" : listText(others)}.`;
}

function whereText({ from, to, isLongest }: Range): string {
  if (isLongest) return `At length ${lengthText(from)}, the longest measured for these,`;
  if (to === undefined) return `From length ${lengthText(from)} on,`;
  return from === to
    ? `At length ${lengthText(from)},`
    : `At every measured length, ${lengthText(from)} to ${lengthText(to)},`;
}
