import type { Comparison } from "../results.ts";
import { type Ranking, rankedVariants, rankingOf, survivalOf } from "../statistics/ranking.ts";
import { compareSpreads } from "../statistics/statistics.ts";
import { figureText, signedText } from "./figure-text.ts";
import { listText, sentenceStart, shortListText } from "./sentences.ts";

/**
 * What training on the task's own inputs first has changed: whom it helped, and whether the ranking survived. Nothing where there was none.
 *
 * @param where `on recall `, where there are several tasks
 */
export function survivalSentences(comparison: Comparison, task: string, where: string): string[] {
  const survival = survivalOf(comparison, task);
  if (survival === undefined || survival.variants.length === 0) return [];
  const [before, after] = [false, true].map((pretrained) => rankingOf(comparison, task, { pretrained })) as [
    Ranking,
    Ranking,
  ];
  const beginning = sentenceStart(`${where}training on the task's own inputs first, under the same budget,`);
  const hasLearned = (ranking: Ranking) => rankedVariants(ranking).some(({ learned }) => learned);
  if (!hasLearned(before) && !hasLearned(after))
    return [`${beginning} changes nothing of this: no variant is shown to have learned the task with it either.`];
  return [`${beginning} ${changeText(before, after)}${orderText(before, survival)}.`];
}

/** `helps linear (+0.110) and harms softmax (−0.020) in accuracy` */
function changeText(before: Ranking, after: Ranking): string {
  const { metric } = after;
  const changes = rankedVariants(after).flatMap((row) => {
    const plain = rankedVariants(before).find(({ variant }) => variant === row.variant);
    return plain === undefined
      ? []
      : [{ variant: row.variant, ...compareSpreads(row.figure, plain.figure, metric.better) }];
  });
  const named = (list: typeof changes) =>
    shortListText(list.map(({ variant, difference }) => `${variant} (${signedText(difference)})`));
  if (changes.every(({ verdict }) => verdict === "one seed"))
    return `changes ${metric.label}: ${named(changes)}, with one seed, which may be chance`;
  const [better, worse] = (["better", "worse"] as const).map((kind) =>
    changes.filter(({ verdict }) => verdict === kind),
  ) as [typeof changes, typeof changes];
  const parts = [
    ...(better.length > 0 ? [`helps ${named(better)}`] : []),
    ...(worse.length > 0 ? [`harms ${named(worse)}`] : []),
  ];
  if (parts.length === 0) return "changes none of them beyond chance";
  const others = changes.filter((one) => !better.includes(one) && !worse.includes(one)).map(({ variant }) => variant);
  return `${listText(parts)} in ${metric.label}${others.length === 0 ? "" : `; no change is shown of ${shortListText(others)}`}`;
}

function orderText({ seeds }: Ranking, survival: NonNullable<ReturnType<typeof survivalOf>>): string {
  const { tau, swapped, variants } = survival;
  if (variants.length < 2) return "";
  const told = swapped.filter(({ isTold }) => isTold);
  const pairs = (list: typeof swapped) =>
    shortListText(list.map(({ before, after }) => `${after} is now before ${before}`));
  const measure = tau === undefined ? "" : ` (Kendall's τ ${figureText(tau).replace(/\.?0+$/, "")})`;
  if (swapped.length === 0) return `. The order of variants stays${measure}`;
  if (told.length > 0) return `. The ranking does not survive it${measure}: ${pairs(told)}`;
  const chance = seeds < 2 ? ", with one seed, which may be chance" : ", but by no more than chance";
  return `. The order changes${measure}: ${pairs(swapped)}${chance}`;
}
