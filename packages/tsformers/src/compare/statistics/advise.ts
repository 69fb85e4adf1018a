import { canonicalJson } from "../../run/canonical-json.ts";
import type { RunConfig } from "../../run/config.ts";
import { groupBy } from "../../schema/group-by.ts";
import { present } from "../../schema/present.ts";
import type { CostRecord, RunRecord } from "../../store/record.ts";
import { taskLabels, variantLabels } from "../labels.ts";
import { modelKey } from "../model-key.ts";
import { bytesText } from "../text/figures.ts";
import { lengthText } from "../text/sentences.ts";
import { isFullAttention } from "./full-attention.ts";
import { type CostPoint, fitByLength, type LengthFit } from "./length-fit.ts";
import { isAccuracy, isBeyond } from "./ranking.ts";
import { compareSpreads, type SeededSpread, type SpreadComparison, seeded, toldFromFirst } from "./statistics.ts";
import { costNoise } from "./step-costs.ts";
import { spread } from "./summaries.ts";

/** What is asked for. */
export type Question = {
  /** Tokens of a row. */
  readonly length: number;
  /** Name of a task in the catalogue, or its label in a comparison. Default: the one of which most is known. */
  readonly task?: string;
  /** What a training step may take. */
  readonly memoryBytes?: number;
  /** Only models whose outputs depend on earlier inputs only. */
  readonly causal?: boolean;
};

/** What is known. Of what several comparisons have there is a record for each of them. */
export type Known = {
  readonly costs: readonly CostRecord[];
  readonly runs: readonly RunRecord[];
  /** This machine's processor: measurements on it are taken first. */
  readonly cpu?: string;
};

/** How a cost at the asked length is known. */
export type Basis =
  | { readonly kind: "measured" }
  /** By a fit to points on both sides of the length, or on one side only. */
  | { readonly kind: "between" | "beyond"; readonly fit: Omit<LengthFit, "at"> };

/** A cost at the asked length. */
export type KnownCost = {
  readonly value: number;
  readonly basis: Basis;
  /**
   * The share by which it may be wrong, as far as the points tell; of one measured apart from others, by how much figures of the same models differ.
   * Absent of measurements that are not apart, and where there are too few points.
   */
  readonly error?: number;
};

/** How well a variant did, at the training length nearest to the asked one. */
export type KnownQuality = {
  readonly figure: SeededSpread;
  /** Whether it is better than answers that do not look at the row, where these are known: see `RankedVariant`. */
  readonly learned: boolean;
  /** Whether it cannot be told from the best of those that fit. */
  readonly isAmongBest: boolean;
  /** Its difference from full attention, if that was trained under the same budget. */
  readonly toReference?: SpreadComparison;
  /** The metric at the asked length without training there, if it was measured. */
  readonly atLength?: number;
};

export type AdvisedVariant = {
  /** Tells it from all others that are advised on, also of other comparisons. */
  readonly variant: string;
  /** As it was measured. Null: not known. */
  readonly config: RunConfig | null;
  /** Folders of the comparisons that measured it. */
  readonly comparisons: readonly string[];
  readonly isReference: boolean;
  /**
   * Whether its figures are not from the comparison that most are from, or not measured where those of most are: then nothing is claimed of how fast
   * it is beside others.
   */
  readonly isApart: boolean;
  readonly tokensPerSecond: KnownCost;
  readonly peakBytes: KnownCost;
  /** Whether the memory may be too much, as far as it is known. */
  readonly mayNotFit: boolean;
  readonly stateBytes?: number;
  readonly quality?: KnownQuality;
};

/** The metric of the qualities, and what they were trained for. */
export type QualityAbout = {
  readonly metric: string;
  readonly metricLabel: string;
  /** The best value of an answer that does not look at the row. */
  readonly baseline?: number;
  readonly better: "lower" | "higher";
  readonly taskLabel: string;
  readonly trainLength: number;
  readonly steps: number;
  /** That a run was trained on; the most of any. */
  readonly tokens: number;
  readonly seeds: number;
  readonly comparison: string;
};

/** What is measured alike, and may be compared. */
export type Setup = {
  /** With the settings that tell it from other tasks of that label. */
  readonly taskLabel: string;
  readonly layers: number | null;
  readonly modelWidth: number | null;
  readonly cpu: string;
  readonly cores: number;
  readonly device: string | null;
  /** Tokens of a step at the asked length. */
  readonly stepTokens: number;
  /** Folders of the comparisons that measured it, first the one whose figures are taken first. */
  readonly comparisons: readonly string[];
};

/** The answer from what is known. */
export type Answer = {
  readonly question: Question;
  /** Absent where nothing was measured that fits the question. */
  readonly setup?: Setup;
  /** The fastest first. */
  readonly variants: readonly AdvisedVariant[];
  readonly leftOut: readonly ({ readonly variant: string } & LeftOut)[];
  readonly quality?: QualityAbout;
  /** Whether costs are those of another task than the asked one, of which there are none. */
  readonly isOfOtherTask: boolean;
  /** Other machines, tasks or sizes of which there are measurements, too. */
  readonly elsewhere: number;
  /** Labels of the other tasks among them. */
  readonly otherTasks: readonly string[];
};

/** Why a variant is left out, in words that hold of several, too. */
export type LeftOut = {
  readonly reason: string;
  /** Whether it does not suit, or that is only not known. */
  readonly isKnown: boolean;
};

/** Answers which variants suit a length, a memory and a direction, from measured steps and finished runs. */
export function answerOf(question: Question, { costs, runs, cpu }: Known): Answer {
  const labels = labelsOfTasks([...costs, ...runs]);
  const labelOf = (record: CostRecord | RunRecord) => labels.get(taskKey(record))!;
  const isAsked = (record: CostRecord | RunRecord) =>
    question.task === undefined || [record.task, record.taskLabel, labelOf(record)].includes(question.task);
  const asked = costs.filter(isAsked);
  // Rows of the same length cost nearly the same on other tasks.
  const isOfOtherTask = asked.length === 0;
  const setups = [...groupBy(isOfOtherTask ? costs : asked, setupKey).values()].map((records) => ({
    records,
    members: groupBy(records, memberKey),
  }));
  const [chosen, ...others] = setups.sort(
    (a, b) =>
      Number(b.records[0]!.cpu === cpu) - Number(a.records[0]!.cpu === cpu) ||
      b.members.size - a.members.size ||
      newestOf(b.records).localeCompare(newestOf(a.records)),
  );
  if (chosen === undefined)
    return { question, variants: [], leftOut: [], isOfOtherTask: false, elsewhere: 0, otherTasks: [] };
  const comparisons = inOrder(chosen.records, question.length);
  const all = comparisons.flatMap((one) => chosen.records.filter(({ comparison }) => comparison === one));
  const leftOut: ({ variant: string } & LeftOut)[] = [];
  const fitting = new Map<string, AdvisedVariant>();
  const names = memberLabels(chosen.members);
  for (const [key, records] of chosen.members) {
    const found = variantOf(question, records, { comparisons, all });
    const variant = names.get(key)!;
    if ("reason" in found) leftOut.push({ variant, ...found });
    else fitting.set(key, { variant, ...found });
  }
  const own = runs.filter(
    (run) =>
      isAsked(run) &&
      (isOfOtherTask || taskKey(run) === taskKey(chosen.records[0]!)) &&
      !run.pretrained &&
      chosen.members.has(memberKey(run)),
  );
  const trained = nearestRuns(question.length, own);
  const qualities = qualitiesOf(question.length, trained, new Set(fitting.keys()));
  const variants = [...fitting].map(([key, variant]) => ({ ...variant, ...present({ quality: qualities.get(key) }) }));
  const taskLabel = labelOf(chosen.records[0]!);
  const otherTasks = [...new Set(others.map(({ records }) => labelOf(records[0]!)))].filter((one) => one !== taskLabel);
  return {
    question,
    setup: { ...setupOf(all, question.length), taskLabel, comparisons },
    variants: variants.sort((a, b) => b.tokensPerSecond.value - a.tokensPerSecond.value),
    leftOut,
    ...(qualities.size > 0 && { quality: { ...aboutQuality(trained), taskLabel: labelOf(trained[0]!) } }),
    isOfOtherTask,
    elsewhere: others.length,
    otherTasks,
  };
}

/** What must be equal for costs to be compared. */
function setupKey(record: CostRecord): string {
  const { layers, modelWidth, cpu, cores, device } = record;
  return JSON.stringify([taskKey(record), layers, modelWidth, cpu, cores, device]);
}

/** The task itself with its settings, whatever a comparison calls it. */
function taskKey({ task, taskLabel, objective, config }: CostRecord | RunRecord): string {
  return canonicalJson([task, objective, config?.task ?? taskLabel]);
}

/** A label for each task: that of its comparison, with its settings where several have the same. */
export function labelsOfTasks(records: readonly (CostRecord | RunRecord)[]): ReadonlyMap<string, string> {
  const tasks = [...groupBy(records, taskKey)].map(([key, [record]]) => ({ key, record: record! }));
  return new Map(
    [...groupBy(tasks, ({ record }) => record.taskLabel).values()].flatMap((alike) => {
      const configs = alike.flatMap(({ record: { config, objective } }) =>
        config === null ? [] : { task: config.task, length: 0, objective },
      );
      const labels = configs.length < alike.length ? undefined : taskLabels(configs);
      return alike.map(({ key, record }, i): [string, string] => [
        key,
        labels === undefined || alike.length === 1 ? record.taskLabel : labels[i]!,
      ]);
    }),
  );
}

/** The comparisons with these costs: first those that measured the most models at the length, then the most at all, then the newest. */
function inOrder(records: readonly CostRecord[], length: number): string[] {
  const groups = [...groupBy(records.filter(isMeasured), ({ comparison }) => comparison)].map(([comparison, own]) => ({
    comparison,
    there: own.filter((one) => one.length === length).length,
    count: own.length,
    newest: newestOf(own),
  }));
  groups.sort((a, b) => b.there - a.there || b.count - a.count || b.newest.localeCompare(a.newest));
  const measured = groups.map(({ comparison }) => comparison);
  return [...new Set([...measured, ...records.map(({ comparison }) => comparison)])];
}

type MeasuredCost = CostRecord & { readonly tokensPerSecond: number; readonly peakBytes: number };

function isMeasured(record: CostRecord): record is MeasuredCost {
  return record.missing === null && record.tokensPerSecond !== null && record.peakBytes !== null;
}

/** The model itself, whatever a comparison calls it. */
function memberKey({ config, variant, ...parts }: CostRecord | RunRecord): string {
  if (config !== null) return modelKey(config.model);
  const { model, mixer, pattern, position, depth, layers, modelWidth, heads } = parts;
  return JSON.stringify([variant, model, mixer, pattern, position, depth, layers, modelWidth, heads]);
}

/**
 * A name for each member. Those of a comparison that has all of them, if there is one; otherwise new ones, for labels of several comparisons may
 * mean different models, or leave out what is alike in one of them only.
 */
function memberLabels(members: ReadonlyMap<string, readonly CostRecord[]>): ReadonlyMap<string, string> {
  const all = [...members].map(([key, records]) => ({ key, records }));
  const comparisons = new Set(all.flatMap(({ records }) => records.map(({ comparison }) => comparison)));
  for (const comparison of comparisons) {
    const own = all.map(({ records }) => records.find((one) => one.comparison === comparison)?.variant);
    if (!own.includes(undefined) && new Set(own).size === own.length)
      return new Map(all.map(({ key }, i) => [key, own[i]!]));
  }
  const configs = all.flatMap(({ key, records: [record] }) =>
    record!.config === null ? [] : { key, ...record!.config },
  );
  // Only models are told apart here: how long and on what they were trained is no matter of the costs of a step.
  const labels = variantLabels(configs.map(({ key: _, model }) => ({ ...configs[0]!, key: "", model })));
  const named = new Map(configs.map(({ key }, i) => [key, labels[i]!]));
  const taken = new Map<string, number>();
  return new Map(
    all.map(({ key, records }) => {
      const label = named.get(key) ?? records[0]!.variant;
      const before = taken.get(label) ?? 0;
      taken.set(label, before + 1);
      return [key, before === 0 ? label : `${label} (${before + 1})`];
    }),
  );
}

function isReference({ config, model, mixer, pattern, depth }: CostRecord | RunRecord): boolean {
  if (config !== null) return isFullAttention(config.model);
  const has = (part: string, usual: string) => part === usual || part === "own";
  return isFullAttention({ kind: model }) && has(mixer, "softmax") && has(pattern, "full") && has(depth, "stack");
}

function setupOf(records: readonly CostRecord[], length: number): Omit<Setup, "taskLabel" | "comparisons"> {
  const { layers, modelWidth, cpu, cores, device } = records[0]!;
  return { layers, modelWidth, cpu, cores, device, stepTokens: Math.round(rowsAt(records, length) * length) };
}

type Beside = {
  /** As {@link inOrder} has them. */
  readonly comparisons: readonly string[];
  /** Costs of all variants of the setup, in the order of their comparisons. */
  readonly all: readonly CostRecord[];
};

/** What a variant costs at the length, or why it is left out. */
function variantOf(
  question: Question,
  records: readonly CostRecord[],
  { comparisons, all }: Beside,
): Omit<AdvisedVariant, "variant"> | LeftOut {
  const { length, memoryBytes, causal } = question;
  const place = ({ comparison }: CostRecord) => comparisons.indexOf(comparison);
  const taken = [...groupBy(records, (record) => String(record.length)).values()].map((same) =>
    same.reduce((a, b) => ((Number(isMeasured(b)) - Number(isMeasured(a)) || place(a) - place(b)) > 0 ? b : a)),
  );
  const [record] = taken;
  if (causal === true && record!.causal !== true)
    return record!.causal === false
      ? { reason: "not causal", isKnown: true }
      : { reason: "not known to be causal", isKnown: false };
  const measured = taken.filter(isMeasured);
  const longest = Math.max(0, ...measured.map((one) => one.length));
  const barrier = taken.find((one) => one.missing !== null && one.length <= length && one.length > longest);
  if (barrier !== undefined) return { reason: `at ${lengthText(barrier.length)}: ${barrier.missing}`, isKnown: true };
  const rows = rowsAt(all, length);
  const secondsPerRow = knownAt(
    measured.map((one) => ({ length: one.length, rows: 1, value: one.length / one.tokensPerSecond })),
    { length, rows: 1, kind: "time" },
  );
  const peakBytes = knownAt(
    measured.map((one) => ({ length: one.length, rows: one.rows ?? 1, value: one.peakBytes })),
    { length, rows, kind: "memory" },
  );
  if (secondsPerRow === undefined || peakBytes === undefined) {
    const reason =
      measured.length === 0
        ? "not measured"
        : `measured at ${lengthText(longest)} only, and one length does not say how it grows`;
    return { reason, isKnown: false };
  }
  const { value: bytes, error = 0 } = peakBytes;
  if (memoryBytes !== undefined && bytes * (1 - error) > memoryBytes)
    return {
      reason: `needs ${peakBytes.basis.kind === "measured" ? "" : "about "}${bytesText(bytes)}`,
      isKnown: true,
    };
  const state = records.find((one) => one.length === length)?.stateBytes;
  const there = measured.find((one) => one.length === length);
  const isFirst = (one: CostRecord) => one.comparison === comparisons[0];
  const isApart = all.some((one) => isMeasured(one) && one.length === length)
    ? there === undefined || !isFirst(there)
    : !measured.some(isFirst);
  const drift = isApart && there !== undefined ? driftBetween(comparisons[0]!, there, all) : undefined;
  return {
    config: record!.config,
    comparisons: [...new Set(records.map(({ comparison }) => comparison))],
    isReference: isReference(record!),
    isApart,
    tokensPerSecond: { ...secondsPerRow, value: length / secondsPerRow.value, ...present({ error: drift }) },
    peakBytes,
    mayNotFit: memoryBytes !== undefined && bytes * (1 + error) > memoryBytes,
    ...(typeof state === "number" && { stateBytes: state }),
  };
}

/**
 * By which share speeds differ between two comparisons at a length, at most, of the models that both measured; at least the noise of one measurement.
 * Nothing is known where they share none.
 */
function driftBetween(first: string, other: CostRecord, all: readonly CostRecord[]): number | undefined {
  const speedsIn = (comparison: string) =>
    new Map(
      all
        .filter((one) => one.comparison === comparison && one.length === other.length)
        .flatMap((one) => (isMeasured(one) ? [[memberKey(one), one.tokensPerSecond] as const] : [])),
    );
  const theirs = speedsIn(other.comparison);
  const drifts = [...speedsIn(first)].flatMap(([key, speed]) => {
    const again = theirs.get(key);
    return again === undefined ? [] : Math.max(speed / again, again / speed) - 1;
  });
  return drifts.length === 0 ? undefined : Math.max(costNoise, ...drifts);
}

/**
 * A cost at a length: as it was measured there in a step of so many rows, or from a fit. With at least three points these tell how wrong the fit may be: by what it misses
 * them, and, beyond them, by what it would have missed the longest; there as much again for every doubling of the length.
 */
function knownAt(
  points: readonly CostPoint[],
  { length, rows, kind }: { readonly length: number; readonly rows: number; readonly kind: "time" | "memory" },
): KnownCost | undefined {
  const exact = points.find((point) => point.length === length);
  const found = exact?.rows === rows ? undefined : fitByLength(points, kind);
  if (found === undefined) return exact && { value: exact.value, basis: { kind: "measured" } };
  const { at, ...fit } = found;
  const isBetween = length >= fit.from && length <= fit.to;
  const { residual = 0, heldOut = 0 } = fit;
  const doublings = Math.max(1, Math.log2(length / fit.to), Math.log2(fit.from / length));
  const error = isBetween ? Math.max(costNoise, residual) : Math.max(costNoise, residual, heldOut) * doublings;
  return {
    value: at(length, rows),
    basis: { kind: isBetween ? "between" : "beyond", fit },
    ...(points.length > 2 && { error: Math.min(1, error) }),
  };
}

/** Rows of a step at a length: as many as make the tokens of a step, in parts of a row, but at least one. */
function rowsAt(records: readonly CostRecord[], length: number): number {
  const same = records.find((one) => one.length === length && one.rows !== null);
  if (same !== undefined) return same.rows!;
  const tokens = Math.max(0, ...records.map((one) => (one.rows !== null && one.rows > 1 ? one.rows * one.length : 0)));
  const { batchSize, trainLength } = records[0]!;
  return Math.max(1, (tokens === 0 ? (batchSize ?? 0) * trainLength : tokens) / length);
}

/** The runs of one comparison on one task at one training length: the nearest to the asked one, of the most variants and seeds, the newest. */
function nearestRuns(length: number, runs: readonly RunRecord[]): RunRecord[] {
  const distance = ({ trainLength }: RunRecord) => Math.abs(Math.log2(trainLength / length));
  const groups = groupBy(runs, (run) => JSON.stringify([run.trainLength, run.comparison, taskKey(run)]));
  const [best = []] = [...groups.values()].sort(
    (a, b) => distance(a[0]!) - distance(b[0]!) || b.length - a.length || newestOf(b).localeCompare(newestOf(a)),
  );
  return best;
}

function qualitiesOf(
  length: number,
  runs: readonly RunRecord[],
  fitting: ReadonlySet<string>,
): ReadonlyMap<string, KnownQuality> {
  const [first] = runs;
  if (first === undefined) return new Map();
  const { better, metric } = first;
  const bestFirst = (a: { figure: SeededSpread }, b: { figure: SeededSpread }) =>
    (better === "lower" ? 1 : -1) * (a.figure.mean - b.figure.mean);
  const figureOf = (own: readonly RunRecord[]) => {
    const finite = own.filter(({ score }) => score !== null);
    if (finite.length === 0) return [];
    const rows = finite.map(({ scoredRows }) => scoredRows);
    const figure = seeded(
      spread(finite.map(({ score }) => score!)),
      finite.map(({ seed }) => seed),
      isAccuracy({ better }) && !rows.includes(null) ? Math.min(...rows.map((count) => count!)) : undefined,
    );
    return [{ own, figure }];
  };
  // A model may have been trained in several ways, each with a label: the best is what it can do.
  const figures = [...groupBy(runs, memberKey)].flatMap(([key, all]) => {
    const ways = [...groupBy(all, ({ variant }) => variant).values()].flatMap(figureOf).sort(bestFirst);
    return ways.slice(0, 1).map((way) => ({ key, ...way }));
  });
  figures.sort(bestFirst);
  const reference = figures.find(({ own }) => isReference(own[0]!));
  // Those that do not fit are no rivals.
  const rivals = figures.filter(({ key }) => fitting.has(key));
  const told = toldFromFirst(
    rivals.map(({ figure }) => figure),
    better,
  );
  return new Map(
    rivals.map(({ key, own, figure }, i) => {
      const there = own.flatMap(({ byLength }) => {
        const cell = byLength.find((one) => one.length === length);
        const value = cell !== undefined && "metrics" in cell ? cell.metrics[metric] : undefined;
        return value === undefined ? [] : [value];
      });
      return [
        key,
        {
          figure,
          learned: own[0]!.baseline === null || isBeyond({ better }, figure, own[0]!.baseline),
          isAmongBest: !told[i]!.isTold,
          ...(reference !== undefined &&
            reference.key !== key && { toReference: compareSpreads(figure, reference.figure, better) }),
          ...(there.length > 0 && own[0]!.trainLength !== length && { atLength: spread(there).mean }),
        },
      ];
    }),
  );
}

function aboutQuality(runs: readonly RunRecord[]): Omit<QualityAbout, "taskLabel"> {
  const { metric, metricLabel, better, baseline, trainLength, steps, comparison } = runs[0]!;
  const seeds = new Set(runs.map(({ seed }) => seed)).size;
  const tokens = Math.max(...runs.map((run) => run.tokens));
  return {
    ...{ metric, metricLabel, better, trainLength, steps, tokens, seeds, comparison },
    ...(baseline !== null && { baseline }),
  };
}

function newestOf(records: readonly (CostRecord | RunRecord)[]): string {
  return records.reduce((newest, { finishedAt }) => (finishedAt > newest ? finishedAt : newest), "");
}
