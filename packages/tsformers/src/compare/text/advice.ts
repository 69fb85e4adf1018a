import { present } from "../../schema/present.ts";
import type { Comparison } from "../results.ts";
import {
  isAccuracy,
  type RankedBaseline,
  type RankedVariant,
  type Ranking,
  rankedVariants,
  rankingOf,
} from "../statistics/ranking.ts";
import { stateOfCell } from "../statistics/state-of-cell.ts";
import { compareSpreads, evaluationMargin, seeded } from "../statistics/statistics.ts";
import { summarise } from "../statistics/summaries.ts";
import { type AdviceCase, costLength, many, measuredLengths } from "./advice-case.ts";
import { budgetText } from "./budget-text.ts";
import { costSentences, frontSentences } from "./cost-advice.ts";
import { figureText, signedText, smallBytesText } from "./figure-text.ts";
import { leastScored } from "./scored-text.ts";
import { counted, lengthText, listText, numberText, ratioText, sentenceStart, shortListText } from "./sentences.ts";
import { survivalSentences } from "./survival-text.ts";

/** A task counts as solved from this accuracy on. */
const solved = 0.95;
/** From this accuracy on a task tells variants apart no more. */
const ceiling = 0.99;
/**
 * What a comparison says, in sentences: of each task whether anything was learned and what is the best; what each variant gains and loses
 * against the best full attention at a length, which ones no other beats, and why an honest reader should doubt it. Nothing is called better or
 * worse unless the interval of the difference excludes 0, and of accuracies, unless at least six test rows make it.
 *
 * Of several tasks it says the quality of each, and the costs once: steps cost much the same on all.
 *
 * @param options.length tokens of a row at which costs are compared. Default: the longest at which they were measured
 */
export function adviceOf(comparison: Comparison, { length }: { readonly length?: number } = {}): string[] {
  const summaries = summarise(comparison);
  const several = comparison.tasks.length > 1;
  const cases = comparison.tasks.map((task): AdviceCase => {
    const own = summaries.filter((one) => one.task === task.label && !one.pretrained);
    const ranking = rankingOf(comparison, task.label);
    const where = several ? `on ${task.label} ` : "";
    return { comparison, task, summaries: own, where, ranking, ...stateOf(ranking), ...present({ length }) };
  });
  const { complete, cells } = comparison;
  const unequal = new Map(cells.flatMap(({ variant, unequal }) => (unequal.length > 0 ? [[variant, unequal]] : [])));
  return [
    ...(several ? severalAdvice(cases) : cases.flatMap(taskAdvice)),
    ...seedSentence(cases),
    ...unequalSentence(unequal, comparison.variants.length),
    ...(complete ? [] : ["Not all runs were finished; the same command goes on from here."]),
  ];
}

/** More than these are counted: the tables mark each. */
const mostUnequal = 3;

function unequalSentence(unequal: ReadonlyMap<string, readonly string[]>, variants: number): string[] {
  if (unequal.size === 0) return [];
  const named = [...unequal].map(([variant, phrases]) => `${variant} (${phrases.join(", ")})`);
  const why = "which may be why they differ";
  if (named.length <= mostUnequal) return [`Not equal to the others, ${why}: ${named.join("; ")}.`];
  const some = named.slice(0, mostUnequal).join("; ");
  return [
    `${lengthText(named.length)} of ${counted(variants, "variant")} are not equal to the others, ${why}: ${some}; the tables mark all of them.`,
  ];
}

function stateOf(ranking: Ranking): Pick<AdviceCase, "learned" | "isTooEasy" | "isTold"> {
  const variants = rankedVariants(ranking);
  const learned = variants.filter((row) => row.learned);
  const isTooEasy =
    variants.length > 1 && isAccuracy(ranking.metric) && variants.every(({ figure }) => figure.mean >= ceiling);
  return { learned, isTooEasy, isTold: learned.length > 0 && !isTooEasy };
}

function taskAdvice(given: AdviceCase): string[] {
  const { isTold, comparison, task } = given;
  return [
    ...headline(given),
    ...costSentences(given, isTold),
    ...(isTold ? [...frontSentences(given), ...elsewhereSentences(given)] : []),
    ...stateSentence(given),
    ...partlySentence(given),
    ...survivalSentences(comparison, task.label, ""),
    ...missingSentences(given),
  ];
}

function severalAdvice(cases: readonly AdviceCase[]): string[] {
  const measured = (given: AdviceCase) => measuredLengths(given).at(-1) ?? 0;
  const [longest] = [...cases].sort((a, b) => measured(b) - measured(a));
  return [
    ...overallSentence(cases),
    ...cases.flatMap((given) => [
      ...headline(given),
      ...(given.isTold ? againstSentence(given) : []),
      ...partlySentence(given),
      ...stateSentence(given),
      ...survivalSentences(given.comparison, given.task.label, given.where),
      ...missingSentences(given),
    ]),
    ...(longest !== undefined && measured(longest) > 0 ? costSentences(longest, false) : []),
  ];
}

/** On how many tasks each variant is among the best, of those that tell variants apart. */
function overallSentence(cases: readonly AdviceCase[]): string[] {
  const telling = cases.filter(
    ({ isTold, ranking }) => isTold && ranking.seeds > 1 && rankedVariants(ranking).length > 1,
  );
  if (telling.length < 2) return [];
  const counts = telling[0]!.comparison.variants.flatMap((variant) => {
    const isBest = (row: RankedVariant) => row.variant === variant && row.rank.from === 1 && row.learned;
    const count = telling.filter(({ ranking }) => rankedVariants(ranking).some(isBest)).length;
    return count > 0 ? [{ variant, count }] : [];
  });
  counts.sort((a, b) => b.count - a.count);
  if (counts.length === 0) return [];
  const shown = counts.length > many ? counts.slice(0, many - 1) : counts;
  const rest = counts.slice(shown.length);
  const names = [
    ...shown.map(({ variant, count }) => `${variant} on ${numberText(count)}`),
    ...(rest.length > 0
      ? [`${numberText(rest.length)} others on ${numberText(rest[0]!.count)}${rest[0]!.count > 1 ? " or fewer" : ""}`]
      : []),
  ];
  const which =
    telling.length === cases.length
      ? `the ${numberText(telling.length)} tasks`
      : `the ${numberText(telling.length)} of ${numberText(cases.length)} tasks that tell variants apart`;
  return [`Of ${which}, these are the best or cannot be told from it: ${listText(names)}.`];
}

/** That nothing was learned, or everything; otherwise what is the best. */
function headline(given: AdviceCase): string[] {
  const { ranking, where, task, learned, isTooEasy } = given;
  const variants = rankedVariants(ranking);
  if (variants.length === 0) return [];
  if (learned.length === 0) return [notLearnedText(given)];
  if (isTooEasy)
    return [
      `${sentenceStart(`${where}every variant`)} reaches ${ranking.metric.label} of ${ceiling} or more: ${where === "" ? task.label : "it"} is too easy to rank them. Longer rows or more to remember may tell them apart.`,
    ];
  return [bestText(ranking, where)];
}

/** What a larger budget is more of. */
const more = { steps: "more steps", tokens: "more tokens", seconds: "more time", flops: "more operations" } as const;

function notLearnedText({ comparison, task, ranking }: AdviceCase): string {
  const { metric, seeds } = ranking;
  const { budget } = comparison;
  const variants = rankedVariants(ranking);
  const baseline = ranking.rows.find(
    (row): row is RankedBaseline => row.kind === "baseline" && !row.baseline.knowsAnswers,
  )!;
  const rows = isAccuracy(metric) ? leastScored(ranking)?.rows : undefined;
  /** By so much a figure may differ from the baseline's though it is no better. */
  const chance = (figure: number) =>
    rows === undefined
      ? Math.abs(baseline.figure) * clearShare
      : Math.hypot(evaluationMargin(figure, rows), evaluationMargin(baseline.figure, rows));
  const isAbove = ({ figure: { mean } }: RankedVariant) =>
    (metric.better === "lower" ? baseline.figure - mean : mean - baseline.figure) > chance(mean);
  const under = `under this budget (${budgetText(comparison, task.label)})`;
  const [best] = variants;
  if (isAbove(best!)) {
    const wanted = seeds > 1 ? `${more[budget.kind]} or more seeds` : "more seeds";
    return `No variant is shown to have learned ${task.label} ${under}: ${best!.variant} reaches ${figureText(best!.figure.mean)} ${metric.label} in the mean of ${counted(best!.figure.values.length, "seed")}, against ${figureText(baseline.figure)} of the baseline "${baseline.baseline.name}", which may be chance. Give them ${wanted}.`;
  }
  const reference = `${figureText(baseline.figure)} ${metric.label}`;
  const remedy = `Give them ${more[budget.kind]} or another learning rate.`;
  if (!isAccuracy(metric))
    return `No variant learned ${task.label} ${under}: none is better than the baseline "${baseline.baseline.name}" with ${reference}. ${remedy}`;
  const isWithin = variants.every(({ figure: { mean } }) => Math.abs(mean - baseline.figure) <= chance(mean));
  const all = isWithin ? "all are within" : "none is better than";
  const margin =
    rows === undefined ? "" : `, ± ${figureText(chance(baseline.figure))} with ${counted(rows, "test row")}`;
  return `No variant learned ${task.label} ${under}: ${all} what chance gives (${reference} of the baseline "${baseline.baseline.name}"${margin}). ${remedy}`;
}

/** Where only seeds say how well a figure is known: by less than this share of a baseline it counts as equal to it. */
const clearShare = 0.02;

/** Which are better and worse than the best full attention, where each has no sentence of its own. */
function againstSentence({ ranking, where }: AdviceCase): string[] {
  const { reference, metric, seeds } = ranking;
  const rows = rankedVariants(ranking).filter(({ toReference }) => toReference !== undefined);
  if (reference === undefined || rows.length === 0 || seeds < 2) return [];
  const told = (verdict: "better" | "worse") => rows.filter(({ toReference }) => toReference!.verdict === verdict);
  const named = (list: readonly RankedVariant[]) =>
    shortListText(
      list.map(({ variant, toReference }) => `${variant} (${signedText(toReference!.difference)})`),
      many,
    );
  const [better, worse] = [told("better"), told("worse")];
  const others = rows.filter(({ toReference }) => !/better|worse/.test(toReference!.verdict));
  const parts = [
    ...(better.length > 0 ? [`better ${better.length === 1 ? "is" : "are"} ${named(better)}`] : []),
    ...(worse.length > 0 ? [`worse ${worse.length === 1 ? "is" : "are"} ${named(worse)}`] : []),
    ...(others.length > 0 && others.length < rows.length
      ? [`no difference is shown of ${shortListText(others.map(({ variant }) => variant))}`]
      : []),
  ];
  if (parts.length === 0) return [];
  return [`${sentenceStart(`${where}against`)} ${reference}, in ${metric.label}: ${parts.join("; ")}.`];
}

/** `softmax has the best bits per character at 512; delta-net cannot be told from it.` */
function bestText(ranking: Ranking, where: string): string {
  const { task, metric, winner, seeds } = ranking;
  const [best, ...others] = rankedVariants(ranking);
  const figure = `${figureText(best!.figure.mean)} ${metric.label}`;
  const at = `${where}at length ${lengthText(task.trainLength)}`;
  if (others.length === 0) return `${sentenceStart(at)} ${best!.variant} reaches ${figure}.`;
  if (winner !== undefined) return `${sentenceStart(at)} ${winner} is better than all others: ${figure}.`;
  if (seeds < 2) {
    const extreme = metric.better === "lower" ? "lowest" : "highest";
    return `${sentenceStart(at)} ${best!.variant} has the ${extreme} figure, ${figure}; with one seed that may be chance.`;
  }
  const equals = others.filter(({ rank }) => rank.from === 1).map(({ variant }) => variant);
  return `${sentenceStart(at)} ${best!.variant} reaches ${figure}; ${shortListText(equals)} cannot be told from it.`;
}

/** Which is the best at the asked length, where that is not the training length. */
function elsewhereSentences({ task, summaries, where, length, ranking }: AdviceCase): string[] {
  const { metric, reference } = ranking;
  const { trainLength, lengths } = task;
  const far = length ?? lengths.at(-1);
  if (far === undefined || far === trainLength) return [];
  const measured = summaries.flatMap(({ variant, byLength, seeds }) => {
    const cell = byLength.find((one) => one.length === far);
    const spread = cell !== undefined && "metrics" in cell ? cell.metrics[metric.name] : undefined;
    const rows = cell !== undefined && "scored" in cell && isAccuracy(metric) ? cell.scored?.rows : undefined;
    return spread === undefined || !Number.isFinite(spread.mean)
      ? []
      : [{ variant, figure: seeded(spread, seeds, rows) }];
  });
  const multiple = `${ratioText(far / trainLength)} × the training length`;
  const at = `${where}at ${lengthText(far)} tokens, ${multiple}`;
  if (measured.length === 0)
    return length === undefined
      ? []
      : [
          `${sentenceStart(at)}, no ${metric.label} was measured: what was said of quality holds for ${lengthText(trainLength)}.`,
        ];
  measured.sort((a, b) => (metric.better === "lower" ? 1 : -1) * (a.figure.mean - b.figure.mean));
  const [best, second] = measured;
  const extreme = metric.better === "lower" ? "lowest" : "highest";
  const other = measured.find(({ variant }) => variant === reference && variant !== best!.variant) ?? second;
  if (other === undefined) return [];
  const { verdict } = compareSpreads(best!.figure, other.figure, metric.better);
  const doubt = verdict === "better" ? "" : verdict === "one seed" ? ", with one seed" : ", which cannot be told apart";
  return [
    `${sentenceStart(at)} and without training there, ${best!.variant} has the ${extreme} ${metric.label}, ${figureText(best!.figure.mean)}; ${other.variant} has ${figureText(other.figure.mean)}${doubt}.`,
  ];
}

/** The smallest state among those that solve the task. */
function stateSentence({ comparison, task, where, ranking: { metric, ...ranking } }: AdviceCase): string[] {
  if (!isAccuracy(metric)) return [];
  const variants = rankedVariants({ metric, ...ranking });
  const states = variants.flatMap(({ variant, figure }) => {
    const cell = comparison.cells.find((one) => one.task === task.label && one.variant === variant);
    const state = stateOfCell(cell, task.trainLength);
    return state === undefined || figure.mean < solved ? [] : [{ variant, bytes: state.bytes, figure: figure.mean }];
  });
  if (states.length < 2) return [];
  states.sort((a, b) => a.bytes - b.bytes);
  const [least, largest] = [states[0]!, states.at(-1)!];
  if (least.bytes === largest.bytes) return [];
  return [
    `${sentenceStart(`${where}the smallest state`)} among those that solve it (${metric.label} of ${solved} or more) has ${least.variant}: ${smallBytesText(least.bytes)} a row, against ${smallBytesText(largest.bytes)} of ${largest.variant}.`,
  ];
}

/** Those of which nothing shows that they learned the task, where others did. */
function partlySentence({ ranking, learned, where }: AdviceCase): string[] {
  const others = rankedVariants(ranking).filter((row) => !row.learned);
  if (learned.length === 0 || others.length === 0) return [];
  const names = shortListText(others.map(({ variant }) => variant));
  return [
    `${sentenceStart(`${where}under`)} this budget nothing shows that ${names} learned the task: ${others.length === 1 ? "it" : "they"} cannot be told from a baseline that does not look at the row.`,
  ];
}

/** That figures are missing, and that costs are not those of the asked length. */
function missingSentences(given: AdviceCase): string[] {
  const { ranking, where, length } = given;
  const failed = ranking.unranked.filter(({ reason }) => reason !== "not trained").map(({ variant }) => variant);
  const lengths = measuredLengths(given);
  return [
    ...(failed.length === 0
      ? []
      : [
          `${sentenceStart(`${where}there is`)} no figure of ${shortListText(failed)}; the notes below the tables say why.`,
        ]),
    ...(length === undefined || lengths.length === 0 || lengths.includes(length)
      ? []
      : [
          `${sentenceStart(`${where}steps`)} were not measured at ${lengthText(length)} tokens, only at ${listText(lengths.map(lengthText))}: costs above are those at ${lengthText(costLength(given)!)}. compare --measure-only --lengths ${length} measures them.`,
        ]),
  ];
}

/** That there is one seed, where differences are spoken of. */
function seedSentence(cases: readonly AdviceCase[]): string[] {
  const single = cases.filter(
    ({ ranking, isTold }) => isTold && ranking.seeds === 1 && rankedVariants(ranking).length > 1,
  );
  if (single.length === 0) return [];
  const where = single.length < cases.length ? `on ${listText(single.map(({ task }) => task.label))} ` : "";
  return [
    `${sentenceStart(`${where}there is`)} one seed: differences between variants may be chance. --seeds 3 tells more.`,
  ];
}
