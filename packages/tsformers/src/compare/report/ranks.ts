import type { Comparison, TaskAbout } from "../results.ts";
import { type Spread, summarise } from "../summaries.ts";
import type { Rank } from "./report-data.ts";

/** A variant's rank on a task. */
export type RankedVariant = {
  readonly variant: string;
  readonly rank: Rank;
  readonly interval?: readonly [low: number, high: number];
};

/** Ranks variants of a task by its ranking metric, without or with pre-training. */
export type RankVariants = (
  comparison: Comparison,
  task: TaskAbout,
  options: { readonly pretrained: boolean },
) => readonly RankedVariant[];

/** 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom; beyond them the normal one is near enough. */
const quantiles = [12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/**
 * By means; variants whose 95 % interval meets the best one's share its ranks. With one seed there are no intervals, and all share all ranks.
 */
export const rankByIntervals: RankVariants = (comparison, task, { pretrained }) => {
  const metric = task.metrics.find(({ name }) => name === task.ranking) ?? task.metrics[0]!;
  const sign = metric.better === "lower" ? 1 : -1;
  const sorted = summarise(comparison)
    .filter((one) => one.task === task.label && one.pretrained === pretrained)
    .flatMap(({ variant, metrics }) => {
      const spread = metrics[metric.name];
      return spread === undefined || !Number.isFinite(spread.mean)
        ? []
        : [{ variant, spread, interval: interval(spread) }];
    })
    .sort((a, b) => sign * (a.spread.mean - b.spread.mean));
  const best = sorted[0]?.interval;
  const isShared = ({ interval }: (typeof sorted)[number]) =>
    best === undefined || interval === undefined || (interval[0] <= best[1] && best[0] <= interval[1]);
  const shared = sorted.filter(isShared).length;
  let next = shared;
  return sorted.map((one) => {
    const own = isShared(one) ? { from: 1, to: shared } : { from: ++next, to: next };
    return { variant: one.variant, rank: own, ...(one.interval !== undefined && { interval: one.interval }) };
  });
};

function interval({ values, mean, deviation }: Spread): [number, number] | undefined {
  if (deviation === undefined) return undefined;
  const half = ((quantiles[values.length - 2] ?? 1.96) * deviation) / Math.sqrt(values.length);
  return [mean - half, mean + half];
}
