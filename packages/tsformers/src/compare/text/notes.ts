import type { CellCosts } from "../results.ts";
import { type Ranking, rankedVariants } from "../statistics/ranking.ts";
import { type MeasuredStep, measuredSteps } from "../statistics/step-costs.ts";
import type { VariantSummary } from "../statistics/summaries.ts";
import { rankText } from "./figure-text.ts";
import { scoredText } from "./scored-text.ts";
import { lengthText, listText, percentText } from "./sentences.ts";

/** What the reader must know of references, intervals, ranks and stars: what holds for all tasks once. */
export function rankingNotes(rankings: readonly Ranking[]): string[] {
  if (rankings.length === 0) return [];
  const noted = (note: (ranking: Ranking) => string | undefined): string[] =>
    togetherByTask(
      rankings.map((ranking) => ({ task: ranking.task.label, sentences: [note(ranking) ?? []].flat() })),
      (sentence, tasks) => `${tasks}: ${sentence}`,
    );
  const isSingle = rankings.every(({ seeds }) => seeds === 1);
  const references = noted(
    ({ reference }) => reference && `reference (of "vs reference"): ${reference}, the best full attention here`,
  );
  const finite = noted(scoredText);
  if (isSingle) return [...references, ...finite, "one seed: the order may be chance; --seeds 3 tells more"];
  const singles = noted((ranking) => {
    const single = rankedVariants(ranking).filter(({ figure }) => figure.values.length === 1);
    if (single.length === 0) return undefined;
    return `${listText(single.map(({ variant }) => variant))}: one seed only, which can be told from nothing`;
  });
  return [
    ...references,
    "±: half of a 95 % interval over seeds (initial parameters, order of data); it does not cover that the test split is finite",
    ...finite,
    ranksNote(rankings),
    ...(references.length === 0 ? [] : ["*: the interval of the difference excludes 0"]),
    ...singles,
  ];
}

/** What ranks mean, with those of a ranking for an example. */
function ranksNote(rankings: readonly Ranking[]): string {
  const [shared] = rankings.flatMap((ranking) =>
    rankedVariants(ranking).flatMap(({ rank }) => (rank.from === 1 && rank.to > 1 ? rank : [])),
  );
  const first =
    shared === undefined
      ? "rank 1: better than all others"
      : `ranks as ${rankText(shared)}: these cannot be told from the best`;
  return `${first} (Holm's correction); further ranks are in the order of means`;
}

/** Others at work on the machine are told from this share of its processors on. */
const noticeable = 0.1;
/** Parts of a measurement that lie further apart are told. */
const unsteady = 0.25;

/** That speeds of steps are less sure than usual, and why: at most one sentence. */
export function speedNotes(costs: readonly CellCosts[]): string[] {
  const steps = costs.flatMap(measuredSteps);
  const most = (of: (step: MeasuredStep) => number | undefined) => Math.max(0, ...steps.map((step) => of(step) ?? 0));
  const [load, spread] = [most((step) => step.othersShare), most((step) => step.spread)];
  const again = "when the machine is at rest, remove the folders cost-* and call the same command again";
  if (load > noticeable)
    return [
      `while steps were measured, other programs used up to ${percentText(load)} of the processors: speeds may be too low, some more than others; ${again}`,
    ];
  return spread > unsteady
    ? [`speeds of a step varied by up to ${percentText(spread)} while they were measured; ${again}`]
    : [];
}

/** What is said of tasks: with their names where it is not said of all. */
export function togetherByTask(
  tasks: readonly { readonly task: string; readonly sentences: readonly string[] }[],
  onSome: (sentence: string, tasks: string) => string = (sentence, names) =>
    `On ${names}, ${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`,
): string[] {
  const known = new Map<string, string[]>();
  for (const { task, sentences } of tasks)
    for (const sentence of sentences) known.set(sentence, [...(known.get(sentence) ?? []), task]);
  return [...known].map(([sentence, whose]) =>
    whose.length === tasks.length ? sentence : onSome(sentence, listText(whose)),
  );
}

/** Why cells are empty, and what must be known of others: each reason once, then every failed run. */
export function notesOf(summaries: readonly VariantSummary[]): string[] {
  const tasks = new Set(summaries.map(({ task }) => task));
  const there = summaries.filter(({ seeds, steps }) => seeds.length > 0 || steps !== undefined);
  const everyone = new Set(there.map(({ variant }) => variant));
  type Reason = { readonly mark: string; readonly text: string; readonly variant: string };
  // Reason and variant → task → places.
  const reasons = new Map<string, Reason & { readonly places: Map<string, string[]> }>();
  const add = ({ variant, task }: VariantSummary, place: string, text: string, mark = ""): void => {
    const key = JSON.stringify([text, variant]);
    const known = reasons.get(key) ?? { mark, text, variant, places: new Map() };
    known.places.set(task, [...new Set([...(known.places.get(task) ?? []), place])]);
    reasons.set(key, known);
  };
  for (const summary of there) {
    const { byLength, steps = [], seeds } = summary;
    for (const cell of seeds.length > 0 ? byLength : []) {
      if ("missing" in cell) add(summary, lengthText(cell.length), cell.missing);
      else if (cell.note !== undefined) add(summary, lengthText(cell.length), cell.note, "‡ ");
    }
    for (const step of steps) if ("missing" in step) add(summary, `a step at ${lengthText(step.length)}`, step.missing);
  }
  const alike = new Map<string, { mark: string; text: string; where: string; variants: string[] }>();
  for (const { mark, text, variant, places } of reasons.values()) {
    const where = placesText(places, tasks.size);
    const known = alike.get(`${text} ${where}`) ?? { mark, text, where, variants: [] };
    known.variants.push(variant);
    alike.set(`${text} ${where}`, known);
  }
  const told = [...alike.values()].map(({ mark, text, where, variants }) => {
    const whose = variants.length === everyone.size ? "" : `${listText(variants)} at `;
    return `${mark}${whose}${where}: ${text}`;
  });
  const failures = summaries.flatMap(({ task, variant, pretrained, failures }) =>
    failures.map((failure) => {
      const where = `${tasks.size > 1 ? `${task}, ` : ""}${variant}${pretrained ? " (pre-trained)" : ""}`;
      return `failed: ${where}, ${failure}`;
    }),
  );
  return [...told, ...failures];
}

/** `1,024 and 2,048`; with the tasks, where it is not so on all. */
function placesText(places: ReadonlyMap<string, readonly string[]>, tasks: number): string {
  const alike = new Map<string, string[]>();
  for (const [task, lengths] of places) {
    const text = listText(lengths);
    alike.set(text, [...(alike.get(text) ?? []), task]);
  }
  return [...alike]
    .map(([text, whose]) => (whose.length === tasks ? text : `${text} on ${listText(whose)}`))
    .join("; at ");
}
