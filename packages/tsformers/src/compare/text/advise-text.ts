import { present } from "../../schema/present.ts";
import { inlineComparison, shellWord } from "../inline-comparison.ts";
import type { AdvisedVariant, Answer, KnownCost, Setup } from "../statistics/advise.ts";
import { intervalOfMean } from "../statistics/statistics.ts";
import { estimateText, figureText, none, shortLabel, signedText, smallBytesText } from "./figure-text.ts";
import { bytesText, countText } from "./figures.ts";
import { counted, lengthText, listText, numberText, ratioText, shortListText } from "./sentences.ts";
import type { TextTable } from "./text-table.ts";

/** What an answer says, for people. */
export type AnswerText = {
  /** Which ones to take, and why. */
  readonly advice: readonly string[];
  readonly table?: TextTable;
  /** How sure it is, and what was left out. */
  readonly notes: readonly string[];
  /** Commands that would settle what is not known, and what each is for. */
  readonly commands: readonly { readonly command: string; readonly purpose: string }[];
  /** Whether the asked length is too far from the measured ones, so that the first command comes before all else. */
  readonly isTooFar: boolean;
};

/**
 * Writes an answer out.
 *
 * @param folder of the store, for commands that go on from its comparisons
 */
export function answerText(answer: Answer, folder: string): AnswerText {
  const { setup, variants, question } = answer;
  const length = lengthText(question.length);
  if (setup === undefined) {
    return {
      advice: [`No step has been measured in ${folder} yet, so nothing can be said of ${length} tokens.`],
      notes: [],
      commands: commandsOf(answer, folder),
      isTooFar: false,
    };
  }
  const tooFar = variants.length === 0 ? undefined : tooFarText(answer);
  const place = `${counted(question.length, "token")} on ${setup.taskLabel}`;
  return {
    advice:
      variants.length === 0
        ? [noneText(answer, place)]
        : [tooFar ?? fastestText(answer), ...bestText(answer, tooFar !== undefined), ...stateText(variants)],
    ...(variants.length > 0 && { table: tableOf(answer, setup) }),
    notes: [
      ...otherTaskNotes(answer, setup),
      ...surenessNotes(answer),
      ...(variants.length > 0 ? qualityNotes(answer) : []),
      ...leftOutNotes(answer),
      ...elsewhereNotes(answer, setup),
    ],
    commands: commandsOf(answer, folder),
    isTooFar: tooFar !== undefined,
  };
}

/** That none is left: what is only not known is not called unsuitable. */
function noneText({ leftOut }: Answer, place: string): string {
  const all = `${numberText(leftOut.length)} measured ${leftOut.length === 1 ? "variant" : "variants"}`;
  const unknown = leftOut.filter(({ isKnown }) => !isKnown).length;
  if (unknown === 0) return `None of ${all} suits ${place}.`;
  if (unknown === leftOut.length)
    return `Of ${all} it is not known whether ${unknown === 1 ? "it suits" : "they suit"} ${place}.`;
  const rest = leftOut.length - unknown;
  return `Of ${all} ${numberText(rest)} ${rest === 1 ? "does" : "do"} not suit ${place}; of the ${unknown === 1 ? "other" : `other ${numberText(unknown)}`} that is not known.`;
}

/** Beyond measured lengths by more than this factor a fit says nothing that may be relied on. */
const farthest = 2;
/** Neither does one that may be wrong by more than this share. */
const mostError = 0.5;

/** What is named as the fastest, and full attention: both of the comparison that most figures are from. */
function leadersOf(variants: readonly AdvisedVariant[]): { fastest: AdvisedVariant; reference?: AdvisedVariant } {
  const together = variants.filter(({ isApart }) => !isApart);
  const reference = together.find(({ isReference }) => isReference);
  return { fastest: together[0] ?? variants[0]!, ...present({ reference }) };
}

/** Why nothing is said of which is the fastest, and by how much: what is compared is known from a fit that reaches too far. */
function tooFarText({ variants, question: { length } }: Answer): string | undefined {
  const { fastest, reference } = leadersOf(variants);
  const compared = [...new Set([fastest, reference ?? fastest])];
  const fits = compared.flatMap(({ tokensPerSecond, peakBytes }) =>
    [tokensPerSecond, peakBytes].flatMap(({ basis, error }) =>
      basis.kind === "measured" ? [] : [{ kind: basis.kind, from: basis.fit.from, to: basis.fit.to, error }],
    ),
  );
  const beyond = fits.filter(({ kind }) => kind === "beyond");
  const start = `${counted(length, "token")} ${length === 1 ? "is" : "are"} too far from what was measured`;
  const end = "to say which is the fastest, and by how much: measure it first.";
  if (beyond.some(({ from, to }) => length > farthest * to || length < from / farthest)) {
    const [least, most] = [Math.min(...beyond.map(({ from }) => from)), Math.max(...beyond.map(({ to }) => to))];
    return `${start}, ${lengthText(least)} to ${lengthText(most)}, ${end}`;
  }
  if (beyond.some(({ error }) => error === undefined)) return `${start} at two lengths only, ${end}`;
  const worst = Math.max(0, ...fits.map(({ error = 0 }) => error));
  if (worst <= mostError) return undefined;
  return `${start} ${end.replace("first.", `first. A fit may be wrong by ${worst >= 1 ? "100 % or more" : `${Math.round(100 * worst)} %`} there.`)}`;
}

function fastestText({ variants, question }: Answer): string {
  const { fastest, reference } = leadersOf(variants);
  const others = variants.filter((variant) => variant !== fastest);
  const at = `At ${counted(question.length, "token")}`;
  if (others.length === 0) return `${at} only ${fastest.variant} suits.`;
  const name = fastest === reference ? `${fastest.variant}, full attention,` : fastest.variant;
  const about = fastest.tokensPerSecond.basis.kind === "measured" ? "" : "probably ";
  const rivals = others.filter((other) => quickest(other) > slowest(fastest));
  const doubt = rivals.length === 0 ? "" : `; ${shortListText(rivals.map(({ variant }) => variant))} may be as fast`;
  if (reference === undefined || fastest === reference) return `${at} ${name} is ${about}the fastest${doubt}.`;
  const speed = ratioText(fastest.tokensPerSecond.value / reference.tokensPerSecond.value);
  const memory = fastest.peakBytes.value / reference.peakBytes.value;
  const bytes = Math.abs(memory - 1) < measuredError ? "about the same memory" : `${ratioText(memory)} × its memory`;
  return `${at} ${name} is ${about}the fastest: ${speed} × as fast as ${reference.variant} (full attention), with ${bytes}${doubt}.`;
}

/** Few steps are measured: another time they may take a tenth more or less. */
const measuredError = 0.1;

function slowest(variant: AdvisedVariant): number {
  return variant.tokensPerSecond.value * (1 - errorOf(variant));
}

function quickest(variant: AdvisedVariant): number {
  return variant.tokensPerSecond.value * (1 + errorOf(variant));
}

/** Where nothing is known of the error, it may be anything. */
function errorOf({ tokensPerSecond: { error, basis }, isApart }: AdvisedVariant): number {
  return error ?? (basis.kind === "measured" && !isApart ? measuredError : 1);
}

/** Which of those that cannot be told from the best is the fastest, if that is known. */
function bestText({ variants, quality }: Answer, isTooFar: boolean): string[] {
  if (quality === undefined) return [];
  const known = variants.filter((variant) => variant.quality !== undefined);
  const { metricLabel, trainLength, seeds } = quality;
  const trained = `${metricLabel} after training at ${lengthText(trainLength)}`;
  if (quality.baseline !== undefined && known.every((variant) => !variant.quality!.learned))
    return [
      `In ${trained} none is shown to be better than an answer that does not look at the row (${figureText(quality.baseline)}): of quality nothing is known yet.`,
    ];
  if (seeds < 2) {
    const [best] = [...known].sort(
      (a, b) => (quality.better === "lower" ? 1 : -1) * (a.quality!.figure.mean - b.quality!.figure.mean),
    );
    return [`In ${trained} ${best!.variant} is first, with one seed: that may be chance.`];
  }
  const best = known.filter((variant) => variant.quality!.isAmongBest);
  const [fastest] = best;
  if (best.length === 1)
    return known.length === 1
      ? [`Only of ${fastest!.variant} the quality is known.`]
      : [
          `In ${trained} ${fastest!.variant} is better than ${shortListText(known.map(({ variant }) => variant).filter((variant) => variant !== fastest!.variant))}.`,
        ];
  if (isTooFar || best.some(({ isApart }) => isApart))
    return [
      `In ${trained} ${numberText(seeds)} seeds cannot tell these from the best: ${shortListText(best.map(({ variant }) => variant))}.`,
    ];
  const slower = best.slice(1).map(({ variant }) => variant);
  return [
    `Of those that ${numberText(seeds)} seeds cannot tell from the best of these in ${trained}, ${fastest!.variant} is the fastest; ${slower.length === 1 ? "the other is" : "the others are"} ${shortListText(slower)}.`,
  ];
}

function stateText(variants: readonly AdvisedVariant[]): string[] {
  const states = variants.flatMap(({ variant, stateBytes }) =>
    stateBytes === undefined ? [] : [{ variant, stateBytes }],
  );
  if (states.length < 2) return [];
  states.sort((a, b) => a.stateBytes - b.stateBytes);
  const [least, most] = [states[0]!, states.at(-1)!];
  if (least.stateBytes === most.stateBytes) return [];
  return [
    `When it writes, ${least.variant} keeps the least of a row: ${smallBytesText(least.stateBytes)}, against ${smallBytesText(most.stateBytes)} of ${most.variant}.`,
  ];
}

function tableOf({ variants, question, quality }: Answer, setup: Setup): TextTable {
  const basis = ({ tokensPerSecond: { basis, error } }: AdvisedVariant) => {
    if (basis.kind === "measured") return "measured";
    const { points, to, from } = basis.fit;
    const doubt = error === undefined ? "" : `, ± ${Math.round(100 * error)} %`;
    return basis.kind === "between"
      ? `from ${points} lengths${doubt}`
      : `${question.length > to ? `beyond ${lengthText(to)}` : `below ${lengthText(from)}`}${doubt}`;
  };
  const about = ({ basis }: KnownCost, text: string) => (basis.kind === "measured" ? text : `~${text}`);
  const hasReference = variants.some(({ quality }) => quality?.toReference !== undefined);
  return {
    title: `${counted(question.length, "token")} a row, ${lengthText(setup.stepTokens)} tokens a step, on ${setup.cpu} with ${counted(setup.cores, "core")}`,
    header: [
      "variant",
      "tok/s",
      "memory",
      "how known",
      ...(quality === undefined ? [] : [shortLabel(quality.metricLabel)]),
      ...(hasReference ? ["vs full attention"] : []),
    ],
    rows: variants.map((variant) => {
      const { tokensPerSecond, peakBytes, mayNotFit, quality: own } = variant;
      const difference = own?.toReference;
      const isTold = difference?.verdict === "better" || difference?.verdict === "worse";
      return [
        variant.variant,
        about(tokensPerSecond, countText(tokensPerSecond.value)),
        `${about(peakBytes, bytesText(peakBytes.value))}${mayNotFit ? " ?" : ""}`,
        basis(variant),
        ...(quality === undefined ? [] : [own === undefined ? none : estimateText(intervalOfMean(own.figure))]),
        ...(hasReference
          ? [
              difference === undefined
                ? none
                : `${signedText(difference.difference)}${isTold ? ` ${difference.verdict}` : ""}`,
            ]
          : []),
      ];
    }),
  };
}

/** That costs are those of another task. */
function otherTaskNotes({ isOfOtherTask, question }: Answer, { taskLabel }: Setup): string[] {
  if (!isOfOtherTask) return [];
  return [
    `Nothing was measured on ${question.task}: times and memory are those on ${taskLabel}, which rows of the same length share but for the vocabulary.`,
  ];
}

/** How well the fits do. */
function surenessNotes({ variants, question }: Answer): string[] {
  const fits = variants.flatMap(({ tokensPerSecond, peakBytes }) => {
    const [time, memory] = [tokensPerSecond.basis, peakBytes.basis];
    return time.kind === "measured" || memory.kind === "measured"
      ? []
      : [{ kind: time.kind, time: time.fit, memory: memory.fit }];
  });
  const notes: string[] = [];
  if (fits.length > 0) {
    const isBeyond = fits.some(({ kind }) => kind === "beyond");
    const longest = Math.max(...fits.map(({ time }) => time.to));
    const misses = (of: "residual" | "heldOut") => {
      const [time, memory] = (["time", "memory"] as const).map((cost) =>
        Math.max(0, ...fits.map((fit) => (fit[cost].points > 2 ? (fit[cost][of] ?? 0) : 0))),
      );
      return `times by up to ${Math.ceil(100 * time!)} % and memory by up to ${Math.ceil(100 * memory!)} %`;
    };
    const hasChecked = fits.some(({ time }) => time.points > 2);
    if (isBeyond && question.length > longest)
      notes.push(
        `Extrapolated: measured up to ${lengthText(longest)} tokens; the asked length is ${ratioText(question.length / longest)} × that.`,
      );
    notes.push(
      `~: from a fit to measured lengths, time a·n + b·n² and memory a·n + b·n² + c; ± in the table is of the time.${hasChecked ? ` It misses measured ${misses("residual")}${isBeyond ? `; without the longest length it would have missed that one's ${misses("heldOut").replace("times", "time")}` : ""}.` : ""}`,
    );
    if (fits.some(({ time }) => time.points < 3))
      notes.push("Without ±: a fit to two lengths, of which nobody knows how wrong it is.");
  }
  const apart = variants.filter(({ isApart }) => isApart).map(({ variant }) => variant);
  if (apart.length > 0)
    notes.push(
      `Not measured beside the others, in one comparison at this length: ${shortListText(apart)}. How fast ${apart.length === 1 ? "it is" : "they are"} beside them, a comparison of all would tell.`,
    );
  const doubtful = variants.filter(({ mayNotFit }) => mayNotFit).map(({ variant }) => variant);
  if (doubtful.length > 0)
    notes.push(`?: ${shortListText(doubtful)} may need more than ${bytesText(question.memoryBytes!)}, or just fit.`);
  return notes;
}

function qualityNotes({ quality, variants, question, setup, isOfOtherTask }: Answer): string[] {
  if (quality === undefined) {
    const task = isOfOtherTask ? question.task : setup!.taskLabel;
    return [`What each loses in quality is not known: there are no runs of these variants on ${task}.`];
  }
  const { trainLength, seeds, steps } = quality;
  const unknown = variants.filter((variant) => variant.quality === undefined).map(({ variant }) => variant);
  const there = variants.flatMap(({ variant, quality: own }) =>
    own?.atLength === undefined ? [] : [{ variant, at: own.atLength }],
  );
  return [
    `Quality: ${counted(seeds, "seed")} of ${counted(steps, "step")}${trainLength === question.length ? "" : ` at length ${lengthText(trainLength)}, not at ${lengthText(question.length)}: longer rows may need what is told here to be equal`}.`,
    ...(there.length === 0
      ? []
      : [
          `Without training at ${lengthText(question.length)}, ${quality.metricLabel} there: ${listText(there.map(({ variant, at }) => `${variant} ${at.toFixed(3)}`))}.`,
        ]),
    ...(unknown.length === 0 ? [] : [`Quality is not known of ${shortListText(unknown)}.`]),
  ];
}

/** What was left out, those of the same reason together. */
function leftOutNotes({ leftOut, question }: Answer): string[] {
  const { memoryBytes } = question;
  const reasons = new Map<string, string[]>();
  const needs: string[] = [];
  for (const { variant, reason } of leftOut) {
    if (reason.startsWith("needs ")) needs.push(`${variant} (${reason})`);
    else reasons.set(reason, [...(reasons.get(reason) ?? []), variant]);
  }
  return [
    ...(needs.length === 0 ? [] : [`Left out, more than ${bytesText(memoryBytes!)}: ${listText(needs)}.`]),
    ...[...reasons].map(([reason, variants]) => `Left out: ${listText(variants)}: ${reason}.`),
  ];
}

function elsewhereNotes({ elsewhere, otherTasks }: Answer, { layers, modelWidth, taskLabel }: Setup): string[] {
  const size =
    layers === null || modelWidth === null ? "" : `${counted(layers, "layer")} of width ${lengthText(modelWidth)}, `;
  return [
    `Holds for ${size}on ${taskLabel}.`,
    ...(elsewhere === 0
      ? []
      : [
          `There are measurements of ${numberText(elsewhere)} other ${elsewhere === 1 ? "setup" : "setups"} (task, size or machine)${otherTasks.length === 0 ? "" : `; --task chooses the task, here also ${shortListText(otherTasks.map(shellWord))}`}.`,
        ]),
  ];
}

function commandsOf(answer: Answer, folder: string): AnswerText["commands"] {
  const { question, setup, variants, quality, isOfOtherTask } = answer;
  const { length, task = "text" } = question;
  const inFolder = folder === "runs" ? "" : ` --out ${shellWord(folder)}`;
  if (setup === undefined || isOfOtherTask) {
    const half = Math.max(1, Math.floor(length / 2));
    return [
      {
        command: `tsformers compare --measure-only --task ${shellWord(task)} --lengths ${half},${length}${inFolder}`,
        purpose: "measures time and memory of every member",
      },
      {
        command: `tsformers compare --task ${shellWord(task)} --length ${length} --mixers softmax,linear,delta-net${inFolder}`,
        purpose: "trains some at this length, to know what they lose",
      },
    ];
  }
  const all = recommended(answer);
  const { wanted, options, names } = commanded(all, setup, length, folder);
  const isMeasured =
    variants.length > 0 && variants.every(({ tokensPerSecond }) => tokensPerSecond.basis.kind === "measured");
  const isTrained = quality !== undefined && quality.trainLength === length && quality.seeds > 2;
  const isKnown = isTrained && wanted.every((variant) => variant.quality !== undefined);
  // The budget of a comparison's settings may pay for a single step of longer rows.
  const isAgain = options.startsWith("--config");
  const budget = quality === undefined || !isAgain ? "" : ` --budget-tokens ${Math.max(quality.tokens, length)}`;
  return [
    ...(isMeasured
      ? []
      : [
          {
            command: `tsformers compare ${options} --lengths ${length} --measure-only${inFolder}`,
            purpose: `measures ${names} at ${lengthText(length)}`,
          },
        ]),
    ...(isKnown
      ? []
      : [
          {
            command: `tsformers compare ${options} --length ${length} --seeds 3${budget}${inFolder}`,
            purpose: `trains ${names} at ${lengthText(length)}, to know what they lose`,
          },
        ]),
  ];
}

/** The options of a command about the most of what is recommended that one command can say. */
function commanded(
  { first, next }: Recommended,
  { comparisons }: Setup,
  length: number,
  folder: string,
): { readonly wanted: readonly AdvisedVariant[]; readonly options: string; readonly names: string } {
  const inlineOf = (wanted: readonly AdvisedVariant[]) => {
    const configs = wanted.flatMap(({ config }) => config ?? []);
    const found = configs.length < wanted.length || wanted.length === 0 ? undefined : inlineComparison(configs, length);
    const names = shortListText(wanted.map(({ variant }) => variant));
    return found === undefined ? undefined : { ...found, wanted, names };
  };
  for (let more = next.length; more >= 0; more--) {
    const found = inlineOf([...first, ...next.slice(0, more)]);
    if (found?.isExact) return found;
  }
  // What options cannot say, the settings of a comparison do: of the one that has the most of these.
  const countIn = (one: string) => first.filter((variant) => variant.comparisons.includes(one)).length;
  const [most] = [...comparisons].sort((a, b) => countIn(b) - countIn(a));
  const inline = countIn(most!) < first.length ? inlineOf(first) : undefined;
  return (
    inline ?? {
      wanted: first,
      options: `--config ${shellWord(`${folder}/${most}/settings.json`)}`,
      names: `the variants of ${most}`,
    }
  );
}

type Recommended = {
  /** What is named as the fastest and as the best, and full attention to compare them with. */
  readonly first: readonly AdvisedVariant[];
  /** The next fastest. */
  readonly next: readonly AdvisedVariant[];
};

/** So many are worth a command. */
const mostRecommended = 4;

function recommended({ variants }: Answer): Recommended {
  const named = [
    variants[0],
    ...(variants.length === 0 ? [] : Object.values(leadersOf(variants))),
    variants.find(({ quality }) => quality?.learned && quality.isAmongBest),
    variants.find(({ isReference }) => isReference),
  ];
  const first = [...new Set(named.flatMap((variant) => variant ?? []))];
  const next = variants.filter((variant) => !first.includes(variant)).slice(0, mostRecommended - first.length);
  return { first, next };
}
