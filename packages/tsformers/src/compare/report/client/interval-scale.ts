import { median } from "../../../train/median.ts";

/** Intervals wider than so many times the median are cut: a single wide one must not flatten all others. */
const mostTimes = 4;

/**
 * The range in which intervals are drawn. It holds the best variant's interval, all that are not much wider than the median, and the means of all
 * others.
 *
 * @param intervals the best variant first
 */
export function intervalScale(
  intervals: readonly (readonly [low: number, high: number])[],
): [low: number, high: number] {
  const most = mostTimes * median(intervals.map(([low, high]) => high - low));
  const held = intervals.flatMap(([low, high], place) =>
    place === 0 || high - low <= most ? [low, high] : [(low + high) / 2],
  );
  const [low, high] = [Math.min(...held), Math.max(...held)];
  return high > low ? [low, high] : [low - 1, high + 1];
}
