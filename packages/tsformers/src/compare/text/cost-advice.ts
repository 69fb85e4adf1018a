import type { Comparison } from "../results.ts";
import { measuredReference } from "../statistics/full-attention.ts";
import { paretoOf } from "../statistics/pareto.ts";
import { type RankedVariant, type Ranking, rankedVariants } from "../statistics/ranking.ts";
import type { SpreadComparison } from "../statistics/statistics.ts";
import { costNoise, speedNoise, stepAt } from "../statistics/step-costs.ts";
import type { VariantSummary } from "../statistics/summaries.ts";
import { type AdviceCase, costLength, many } from "./advice-case.ts";
import { signedText } from "./figure-text.ts";
import { counted, lengthText, listText, numberText, percentText, ratioText, sentenceStart } from "./sentences.ts";

/** What each gains in time and memory against the reference, and what it loses. */
export function costSentences(given: AdviceCase, withQuality: boolean): string[] {
  const { comparison, summaries, where, ranking } = given;
  const reference = ranking.reference ?? measuredReference(comparison, summaries);
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
  if (!withQuality && others.length > many)
    return length === undefined ? [] : cheapestSentences(given, theirs, others, length);
  const ranked = new Map(rankedVariants(ranking).map((row) => [row.variant, row]));
  const isWorthIt = (one: VariantSummary) => {
    if (others.length <= many) return true;
    return front.has(one.variant) || ranked.get(one.variant)?.rank.from === 1;
  };
  let said = false;
  const sentences = others.filter(isWorthIt).flatMap((summary) => {
    const cost = length === undefined ? undefined : costText(summary, theirs, length);
    const row = withQuality ? ranked.get(summary.variant) : undefined;
    const quality =
      row?.toReference === undefined
        ? undefined
        : differenceClause(row, row.toReference, ranking, cost === undefined ? undefined : length);
    if (cost === undefined && quality === undefined) return [];
    if (cost === undefined)
      return [
        `${sentenceStart(`${where}against`)} ${reference} ${summary.variant} has ${quality!.replace(/^(for|at) /, "")}.`,
      ];
    const machine = said ? "" : ` on this machine (${machineText(comparison)})`;
    const named = said ? reference! : `${reference}, the full attention here,`;
    said = true;
    const gain = cost.replace("REFERENCE", named);
    return [
      `${sentenceStart(`${where}at ${lengthText(length!)} tokens`)}${machine} ${summary.variant} ${gain}${quality === undefined ? "" : `, ${quality}`}.`,
    ];
  });
  const left = others.filter((one) => !isWorthIt(one));
  if (left.length === 0) return sentences;
  if (left.length === 1) return [...sentences, `The tables also have ${left[0]!.variant}.`];
  const isKnown = left.every((one) => ranked.has(one.variant));
  const why = isKnown ? ", which are told from the best and on no Pareto front" : "";
  return [...sentences, `The tables have the other ${numberText(left.length)}${why}.`];
}

/** Of many variants of which nothing but costs is said: how many cost less than the reference, and which least. */
function cheapestSentences(
  { comparison, where }: AdviceCase,
  theirs: VariantSummary,
  others: readonly VariantSummary[],
  length: number,
): string[] {
  const reference = stepAt(theirs, length);
  if (reference === undefined) return [];
  const measured = others.flatMap((one) => {
    const step = stepAt(one, length);
    if (step === undefined) return [];
    const [speed, memory] = [step.tokensPerSecond / reference.tokensPerSecond, step.peakBytes / reference.peakBytes];
    return [{ variant: one.variant, speed, memory, noise: speedNoise(step, reference) }];
  });
  if (measured.length === 0) return [];
  const faster = measured.filter(({ speed, noise }) => speed > 1 + noise).length;
  const smaller = measured.filter(({ memory }) => memory < 1 / (1 + costNoise)).length;
  const most = Math.max(...measured.map(({ noise }) => noise));
  const clear = `10 %${most > costNoise ? `, in speed by more than what may be noise here, up to ${percentText(most)}` : ""}`;
  const fastest = [...measured].sort((a, b) => b.speed - a.speed).slice(0, many);
  const smallest = [...measured].sort((a, b) => a.memory - b.memory).slice(0, many);
  const at = `${where}at ${lengthText(length)} tokens on this machine (${machineText(comparison)})`;
  return [
    `${sentenceStart(at)}, ${lengthText(faster)} of ${lengthText(measured.length)} train faster than ${theirs.variant}, the full attention here, and ${lengthText(smaller)} take less memory, each by more than ${clear}.`,
    `The fastest are ${listText(fastest.map(({ variant, speed, memory }) => `${variant} (${ratioText(speed)} × as fast, ${ratioText(memory)} × the memory)`))}.`,
    `The least memory take ${listText(smallest.map(({ variant, memory }) => `${variant} (${ratioText(memory)} ×)`))}.`,
  ];
}

/** `trains 3.9 × as fast as REFERENCE and takes 0.4 × its memory` */
function costText(summary: VariantSummary, reference: VariantSummary, length: number): string | undefined {
  const [step, theirs] = [stepAt(summary, length), stepAt(reference, length)];
  if (step === undefined || theirs === undefined) return undefined;
  const speed = step.tokensPerSecond / theirs.tokensPerSecond;
  const memory = step.peakBytes / theirs.peakBytes;
  const noise = speedNoise(step, theirs);
  const about = noise > costNoise ? "about " : "";
  const fast =
    speed > 1 + noise
      ? `trains ${about}${ratioText(speed)} × as fast as REFERENCE`
      : speed < 1 / (1 + noise)
        ? `needs ${about}${ratioText(1 / speed)} × the training time of REFERENCE`
        : noise > costNoise
          ? "cannot be told from REFERENCE in speed"
          : "trains about as fast as REFERENCE";
  const isAlike = memory < 1 + costNoise && memory > 1 / (1 + costNoise);
  return `${fast} and takes ${isAlike ? "about the same memory" : `${ratioText(memory)} × its memory`}`;
}

/**
 * `for +0.020 in bits per character, which three seeds cannot tell from 0`, `at the same accuracy`
 *
 * @param costLength where costs are compared; the training length is named where it is another
 */
function differenceClause(
  { figure }: RankedVariant,
  found: SpreadComparison,
  { metric, task }: Ranking,
  costLength: number | undefined,
): string {
  const where = costLength === task.trainLength ? "" : ` at length ${lengthText(task.trainLength)}`;
  const { difference, low, high, verdict, fewRows } = found;
  if (signedText(difference) === "0.000" && (verdict === "cannot tell" || verdict === "one seed"))
    return `at the same ${metric.label}${where}${verdict === "one seed" ? ", with one seed" : ""}`;
  const by = `${signedText(difference)} in ${metric.label}${where}`;
  if (verdict === "one seed") return `for ${by}, with one seed, which may be chance`;
  if (low === undefined || high === undefined) return `for ${by}, of which nothing can be told`;
  if (fewRows !== undefined)
    return `for ${by}, which is about ${counted(Math.max(1, Math.round(fewRows)), "test row")}: too few to tell`;
  const interval = `95 % interval ${signedText(low)} to ${signedText(high)}`;
  return verdict === "cannot tell"
    ? `for ${by}, which ${numberText(figure.values.length)} seeds cannot tell from 0 (${interval})`
    : `for ${by}, which is ${verdict} (${interval})`;
}

/** Points of quality against time and against memory, at the length of the costs. */
function fronts(given: AdviceCase): { name: string; points: ReturnType<typeof paretoOf> }[] {
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

export function frontSentences(given: AdviceCase): string[] {
  const { ranking } = given;
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
    `${sentenceStart(`${given.where}at ${lengthText(length)} tokens`)} the Pareto front (no other is both cheaper and as good) of ${ranking.metric.label} against ${front}.`,
  ];
}

function machineText({ environment }: Comparison): string {
  return `${environment.cpu}, ${counted(environment.cores, "core")}`;
}
