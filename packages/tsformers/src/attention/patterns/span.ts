import type { Runs } from "./pattern.ts";

/** Positions from `low` to `high` (exclusive), clipped to 0 … length − 1. */
export function span(low: number, high: number, length: number): Runs {
  const [from, to] = [Math.max(0, low), Math.min(length, high)];
  return from < to ? [from, to] : [];
}

/**
 * A reach in positions, rounded up to a multiple of a power of two of about an eighth of it, 64 at most: small changes of a learned reach
 * then need no new pattern and no recompilation.
 */
export function roundedReach(reach: number): number {
  const grain = Math.min(64, 2 ** Math.max(0, Math.floor(Math.log2(reach / 8))));
  return Math.ceil(reach / grain) * grain;
}

/** Appends positions from `from` to `to` (exclusive) to runs, merged with the last run if they touch or overlap. */
export function addSpan(runs: number[], from: number, to: number): void {
  if (from >= to) return;
  const end = runs.length - 1;
  if (end > 0 && from <= runs[end]!) runs[end] = Math.max(runs[end]!, to);
  else runs.push(from, to);
}

/** @throws RangeError `window: expected a whole number of at least 0 as "before", got 0.5` */
export function expectWhole(pattern: string, option: string, value: number, least = 0): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(
    `${pattern}: expected a whole number of at least ${least} as ${JSON.stringify(option)}, got ${value}`,
  );
}
