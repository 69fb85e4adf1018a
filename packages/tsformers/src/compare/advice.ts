import { present } from "../schema/present.ts";
import { budgetText, figureText, signedText, smallBytesText } from "./figure-text.ts";
import { fullAttentionOf } from "./full-attention.ts";
import { costOf, paretoOf, type RankedVariant, type Ranking, rankedVariants, rankingOf } from "./ranking.ts";
import type { Comparison, TaskAbout } from "./results.ts";
import { counted, lengthText, listText, numberText, ratioText, shortListText } from "./sentences.ts";
import { compareSpreads, type SpreadComparison, seeded } from "./statistics.ts";
import { summarise, type VariantSummary } from "./summaries.ts";

/** Costs that differ by less than this share are called about the same: few steps are measured. */
const noise = 0.1;
/** A task counts as solved from this accuracy on. */
const solved = 0.95;
/** From this accuracy on a task tells variants apart no more. */
const ceiling = 0.99;
/** With more variants than this, only those that are the best or on a Pareto front have a sentence each. */
const many = 6;

/**
 * What a comparison says, in sentences: what each variant gains and loses against the best full attention at a length, which ones no other beats,
 * and why an honest reader should doubt it. Nothing is called better or worse unless the interval of the difference excludes 0.
 *
 * @param options.length tokens of a row at which costs are compared. Default: the longest at which they were measured
 */
export function adviceOf(comparison: Comparison, { length }: { readonly length?: number } = {}): string[] {
  const summaries = summarise(comparison);
  const several = comparison.tasks.length > 1;
  const told = comparison.tasks.map((task) => {
    const own = summaries.filter((one) => one.task === task.label && !one.pretrained);
    return taskAdvice({
      comparison,
      task,
      summaries: own,
      where: several ? `on ${task.label} ` : "",
      ...present({ length }),
    });
  });
  const { complete, cells } = comparison;
  const unequal = new Map(cells.flatMap(({ variant, unequal }) => (unequal.length > 0 ? [[variant, unequal]] : [])));
  return [
    ...told.flat(),
    ...(unequal.size === 0
      ? []
      : [
          `Not equal to the others, which may be why they differ: ${[...unequal].map(([variant, phrases]) => `${variant} (${phrases.join(", ")})`).join("; ")}.`,
        ]),
    ...(complete ? [] : ["Not all runs were finished; the same command goes on from here."]),
  ];
}

/** All that is said of one task is said from. */
type Case = {
  readonly comparison: Comparison;
  readonly task: TaskAbout;
  readonly summaries: readonly VariantSummary[];
  /** `on recall `, where there are several tasks. */
  readonly where: string;
  readonly length?: number;
};

function taskAdvice(given: Case): string[] {
  const { comparison, task, where } = given;
  const ranking = rankingOf(comparison, task.label);
  const variants = rankedVariants(ranking);
  const doubts = doubtsOf(given, ranking);
  // Where nothing was learned, or everything, differences are not worth a sentence.
  const isTold = doubts.learned.length > 0 && !doubts.isTooEasy;
  return [
    ...(isTold ? [bestText(ranking, where)] : []),
    ...costSentences(given, ranking, isTold),
    ...(isTold ? [...frontSentences(given, ranking), ...elsewhereSentences(given, ranking)] : []),
    ...(variants.length > 0 ? stateSentence(given, variants, ranking) : []),
    ...doubts.sentences,
  ];
}

/** `softmax has the best bits per character at 512; delta-net cannot be told from it.` */
function bestText(ranking: Ranking, where: string): string {
  const { task, metric, winner, seeds } = ranking;
  const [best, ...others] = rankedVariants(ranking);
  const figure = `${figureText(best!.figure.mean)} ${metric.label}`;
  const at = `${where}at length ${lengthText(task.trainLength)}`;
  if (others.length === 0) return `${start(at)} ${best!.variant} reaches ${figure}.`;
  if (winner !== undefined) return `${start(at)} ${winner} is better than all others: ${figure}.`;
  if (seeds < 2) {
    const extreme = metric.better === "lower" ? "lowest" : "highest";
    return `${start(at)} ${best!.variant} has the ${extreme} figure, ${figure}; with one seed that may be chance.`;
  }
  const equals = others.filter(({ rank }) => rank.from === 1).map(({ variant }) => variant);
  return `${start(at)} ${best!.variant} reaches ${figure}; ${shortListText(equals)} cannot be told from it.`;
}

/** What each gains in time and memory against the reference, and what it loses. */
function costSentences(given: Case, ranking: Ranking, withQuality: boolean): string[] {
  const { comparison, summaries, where } = given;
  const reference =
    ranking.reference ??
    fullAttentionOf(comparison).find((variant) => summaries.some((one) => one.variant === variant && one.steps));
  const theirs = summaries.find(({ variant }) => variant === reference);
  if (theirs === undefined) {
    return summaries.length < 2
      ? []
      : [`There is no full attention ${where === "" ? "here" : where.trim()} to compare with.`];
  }
  const length = costLength(given);
  const front = new Set(
    [...fronts(given)].flatMap(({ points }) => points.flatMap(({ variant, onFront }) => (onFront ? variant : []))),
  );
  const others = summaries.filter((one) => one !== theirs && (one.seeds.length > 0 || one.steps !== undefined));
  const ranked = new Map(rankedVariants(ranking).map((row) => [row.variant, row]));
  const time = (one: VariantSummary) => (length === undefined ? undefined : costOf(one, { kind: "step time", length }));
  const fastest = [...others]
    .sort((a, b) => (time(a) ?? Number.MAX_VALUE) - (time(b) ?? Number.MAX_VALUE))
    .slice(0, many);
  const isWorthIt = (one: VariantSummary) => {
    if (others.length <= many) return true;
    if (!withQuality) return fastest.includes(one);
    return front.has(one.variant) || ranked.get(one.variant)?.rank.from === 1;
  };
  let said = false;
  const sentences = others.filter(isWorthIt).flatMap((summary) => {
    const cost = length === undefined ? undefined : costText(summary, theirs, length);
    const row = withQuality ? ranked.get(summary.variant) : undefined;
    const quality = row?.toReference === undefined ? undefined : differenceClause(row, row.toReference, ranking);
    if (cost === undefined && quality === undefined) return [];
    if (cost === undefined)
      return [`${start(`${where}against`)} ${reference} ${summary.variant} has ${quality!.replace(/^for /, "")}.`];
    const machine = said ? "" : ` on this machine (${machineText(comparison)})`;
    const named = said ? reference! : `${reference}, the full attention here,`;
    said = true;
    const gain = cost.replace("REFERENCE", named);
    return [
      `${start(`${where}at ${lengthText(length!)} tokens`)}${machine} ${summary.variant} ${gain}${quality === undefined ? "" : `, ${quality}`}.`,
    ];
  });
  const left = others.length - others.filter(isWorthIt).length;
  return left === 0
    ? sentences
    : [
        ...sentences,
        withQuality
          ? `The other ${numberText(left)} are told from the best and on no Pareto front; the tables have them.`
          : `The other ${numberText(left)} are slower; the tables have them.`,
      ];
}

/** `trains 3.9 × as fast as REFERENCE and takes 0.4 × its memory` */
function costText(summary: VariantSummary, reference: VariantSummary, length: number): string | undefined {
  const [time, theirTime] = [summary, reference].map((one) => costOf(one, { kind: "step time", length }));
  const [bytes, theirBytes] = [summary, reference].map((one) => costOf(one, { kind: "step memory", length }));
  if (time === undefined || theirTime === undefined || bytes === undefined || theirBytes === undefined)
    return undefined;
  const speed = theirTime / time;
  const memory = bytes / theirBytes;
  const fast =
    speed > 1 + noise
      ? `trains ${ratioText(speed)} × as fast as REFERENCE`
      : speed < 1 / (1 + noise)
        ? `needs ${ratioText(1 / speed)} × the training time of REFERENCE`
        : "trains about as fast as REFERENCE";
  const isAlike = memory < 1 + noise && memory > 1 / (1 + noise);
  return `${fast} and takes ${isAlike ? "about the same memory" : `${ratioText(memory)} × its memory`}`;
}

/** `for +0.020 in bits per character, which three seeds cannot tell from 0` */
function differenceClause(row: RankedVariant, found: SpreadComparison, { metric, task }: Ranking): string {
  const by = `${signedText(found.difference)} in ${metric.label} at length ${lengthText(task.trainLength)}`;
  const seeds = `${numberText(row.figure.values.length)} seeds`;
  if (found.verdict === "one seed") return `for ${by}, with one seed, which may be chance`;
  if (found.low === undefined || found.high === undefined) return `for ${by}, of which nothing can be told`;
  const interval = `95 % interval ${signedText(found.low)} to ${signedText(found.high)}`;
  return found.verdict === "cannot tell"
    ? `for ${by}, which ${seeds} cannot tell from 0 (${interval})`
    : `for ${by}, which is ${found.verdict} (${interval})`;
}

/** Points of quality against time and against memory, at the length of the costs. */
function fronts(given: Case): { name: string; points: ReturnType<typeof paretoOf> }[] {
  const { comparison, task } = given;
  const length = costLength(given);
  const kinds = length === undefined ? (["time", "memory"] as const) : (["step time", "step memory"] as const);
  return kinds.map((kind) => ({
    name: kind.replace("step ", ""),
    points: paretoOf(
      comparison,
      task.label,
      length === undefined ? { kind: kind as "time" } : { kind: kind as "step time", length },
    ),
  }));
}

function frontSentences(given: Case, ranking: Ranking): string[] {
  const found = fronts(given).filter(({ points }) => points.length > 1);
  if (found.length === 0) return [];
  const length = costLength(given) ?? given.task.trainLength;
  const texts = found.map(({ name, points }) => {
    const front = points.filter(({ onFront }) => onFront).map(({ variant }) => variant);
    return { name, text: front.length === rankedVariants(ranking).length ? "all" : listText(front) };
  });
  const isSame = new Set(texts.map(({ text }) => text)).size === 1;
  const front = isSame
    ? `${listText(texts.map(({ name }) => name))}: ${texts[0]!.text}`
    : texts.map(({ name, text }) => `${name}: ${text}`).join("; against ");
  return [
    `${start(`${given.where}at ${lengthText(length)} tokens`)} the Pareto front (no other is both cheaper and as good) of ${ranking.metric.label} against ${front}.`,
  ];
}

/** Which is the best at the asked length, where that is not the training length. */
function elsewhereSentences({ task, summaries, where, length }: Case, { metric, reference }: Ranking): string[] {
  const { trainLength, lengths } = task;
  const far = length ?? lengths.at(-1);
  if (far === undefined || far === trainLength) return [];
  const measured = summaries.flatMap(({ variant, byLength, seeds }) => {
    const cell = byLength.find((one) => one.length === far);
    const spread = cell !== undefined && "metrics" in cell ? cell.metrics[metric.name] : undefined;
    return spread === undefined || !Number.isFinite(spread.mean) ? [] : [{ variant, figure: seeded(spread, seeds) }];
  });
  const multiple = `${ratioText(far / trainLength)} × the training length`;
  const at = `${where}at ${lengthText(far)} tokens, ${multiple}`;
  if (measured.length === 0)
    return length === undefined
      ? []
      : [
          `${start(at)}, no ${metric.label} was measured: what was said of quality holds for ${lengthText(trainLength)}.`,
        ];
  measured.sort((a, b) => (metric.better === "lower" ? 1 : -1) * (a.figure.mean - b.figure.mean));
  const [best, second] = measured;
  const extreme = metric.better === "lower" ? "lowest" : "highest";
  const other = measured.find(({ variant }) => variant === reference && variant !== best!.variant) ?? second;
  if (other === undefined) return [];
  const { verdict } = compareSpreads(best!.figure, other.figure, metric.better);
  const doubt =
    verdict === "better" ? "" : verdict === "one seed" ? ", with one seed" : ", which the seeds cannot tell apart";
  return [
    `${start(at)} and without training there, ${best!.variant} has the ${extreme} ${metric.label}, ${figureText(best!.figure.mean)}; ${other.variant} has ${figureText(other.figure.mean)}${doubt}.`,
  ];
}

/** The smallest state among those that solve the task. */
function stateSentence(
  { comparison, task, where }: Case,
  variants: readonly RankedVariant[],
  { metric }: Ranking,
): string[] {
  if (metric.better !== "higher") return [];
  const states = variants.flatMap(({ variant, figure }) => {
    const cell = comparison.cells.find((one) => one.task === task.label && one.variant === variant);
    const state = cell?.stateBytes?.find(({ length }) => length === task.trainLength) ?? cell?.stateBytes?.[0];
    return state === undefined || figure.mean < solved ? [] : [{ variant, bytes: state.bytes, figure: figure.mean }];
  });
  if (states.length < 2) return [];
  states.sort((a, b) => a.bytes - b.bytes);
  const [least, largest] = [states[0]!, states.at(-1)!];
  if (least.bytes === largest.bytes) return [];
  return [
    `${start(`${where}the smallest state`)} among those that solve it (${metric.label} of ${solved} or more) has ${least.variant}: ${smallBytesText(least.bytes)} a row, against ${smallBytesText(largest.bytes)} of ${largest.variant}.`,
  ];
}

type Doubts = {
  readonly learned: readonly RankedVariant[];
  readonly isTooEasy: boolean;
  readonly sentences: readonly string[];
};

/** Reasons to believe less. */
function doubtsOf(given: Case, ranking: Ranking): Doubts {
  const { comparison, task, where, length } = given;
  const { metric, unranked, seeds } = ranking;
  const variants = rankedVariants(ranking);
  const learned = variants.filter((row) => row.learned);
  const isTooEasy =
    variants.length > 1 && metric.better === "higher" && variants.every(({ figure }) => figure.mean >= ceiling);
  const sentences: string[] = [];
  if (variants.length > 0 && learned.length === 0) {
    const [hurdle] = ranking.rows.flatMap((row) => (row.kind === "baseline" ? [row] : []));
    const baseline = `the baseline "${hurdle!.baseline.name}" with ${figureText(hurdle!.figure)} ${metric.label}`;
    const budget = `under this budget (${budgetText(comparison.budget)})`;
    const best = variants[0]!.figure.mean;
    const isAbove = metric.better === "lower" ? best < hurdle!.figure * 0.98 : best > hurdle!.figure * 1.02;
    sentences.push(
      isAbove
        ? `No variant is shown to have learned ${task.label} ${budget}: none can be told from ${baseline}. More seeds or a larger budget may show it.`
        : `No variant learned ${task.label} ${budget}: none is better than ${baseline}. Their order says nothing; a larger budget may.`,
    );
  } else if (learned.length < variants.length) {
    const names = variants.filter((row) => !row.learned).map(({ variant }) => variant);
    sentences.push(
      `${start(`${where}under`)} this budget nothing shows that ${shortListText(names)} learned the task: ${names.length === 1 ? "it" : "they"} cannot be told from a baseline that does not look at the row.`,
    );
  }
  if (isTooEasy)
    sentences.push(
      `${start(`${where}every variant`)} reaches ${metric.label} of ${ceiling} or more: ${task.label} is too easy to tell them apart. Longer rows or more to remember may.`,
    );
  if (seeds === 1 && variants.length > 1)
    sentences.push(
      `${start(`${where}there is`)} one seed: differences between variants may be chance. --seeds 3 tells more.`,
    );
  const failed = unranked.filter(({ reason }) => reason !== "not trained").map(({ variant }) => variant);
  if (failed.length > 0)
    sentences.push(
      `${start(`${where}there is`)} no figure of ${shortListText(failed)}; the notes below the tables say why.`,
    );
  const longest = Math.max(0, ...measuredLengths(given));
  if (length !== undefined && longest > 0 && !measuredLengths(given).includes(length))
    sentences.push(
      `${start(`${where}steps`)} were not measured at ${lengthText(length)} tokens, only at ${listText(measuredLengths(given).map(lengthText))}: costs above are those at ${lengthText(costLength(given)!)}. compare --measure-only --lengths ${length} measures them.`,
    );
  return { learned, isTooEasy, sentences };
}

/** The length at which costs are compared: the asked one; else the nearest below it, or the longest that most were measured at. */
function costLength(given: Case): number | undefined {
  const lengths = measuredLengths(given);
  const { length } = given;
  if (length === undefined) return lengths.at(-1);
  return lengths.findLast((one) => one <= length) ?? lengths[0];
}

/** Lengths at which steps of at least two variants were measured, in their order. */
function measuredLengths({ summaries }: Case): number[] {
  const counts = new Map<number, number>();
  for (const { steps = [] } of summaries)
    for (const step of steps) if (!("missing" in step)) counts.set(step.length, (counts.get(step.length) ?? 0) + 1);
  return [...counts].flatMap(([length, count]) => (count > 1 ? length : [])).sort((a, b) => a - b);
}

function machineText({ environment }: Comparison): string {
  return `${environment.cpu}, ${counted(environment.cores, "core")}`;
}

/** The beginning of a sentence; names of variants keep their spelling. */
function start(text: string): string {
  return /^(on|at|the|there|every|steps|against|under)\b/.test(text)
    ? text.charAt(0).toUpperCase() + text.slice(1)
    : text;
}
