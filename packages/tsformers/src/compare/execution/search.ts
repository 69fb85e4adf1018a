import { foldIn, permutation, randomKey, uniform } from "@tsformers/engine";
import type { CurvePoint } from "../results.ts";
import type { SearchSettings } from "../settings.ts";
import type { PlannedRun } from "./plan.ts";

/** A candidate of a search, as one run under one seed. */
export type TrialRun = {
  readonly settings: Readonly<Record<string, string>>;
  readonly run: PlannedRun;
};

/** What became of a candidate. */
export type TrialOutcome = TrialRun & { readonly rungs: readonly CurvePoint[]; readonly failure?: string };

/** A share of 1 / eta of the candidates goes on at each rung. */
const eta = 3;

/**
 * The values that a search tries: every combination of a grid, or random ones. A range such as `1e-4..1e-2` is drawn log-uniformly.
 *
 * @throws RangeError for a range in a grid, and for one that is none
 */
export function triedValues({ over, method, trials, seed }: SearchSettings): Readonly<Record<string, string>>[] {
  const axes = Object.entries(over);
  if (method === "grid") {
    for (const [name, values] of axes) {
      if (values.some(isRange))
        throw new RangeError(`search of ${name}: a grid needs values, not a range; use random or asha for ranges`);
    }
    return axes.reduce<Record<string, string>[]>(
      (before, [name, values]) => before.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
      [{}],
    );
  }
  const hasRange = axes.some(([, values]) => values.some(isRange));
  if (!hasRange) {
    // Each combination at most once, in random order.
    const all = triedValues({ over, method: "grid", trials, seed });
    const order = permutation(randomKey(seed), all.length).toNumbers();
    return order.slice(0, trials).map((i) => all[i]!);
  }
  return Array.from({ length: trials }, (_, trial) =>
    Object.fromEntries(
      axes.map(([name, values], axis) => {
        const [which, where] = uniform(foldIn(foldIn(randomKey(seed), trial), axis), [2]).toNumbers() as [
          number,
          number,
        ];
        return [name, drawn(name, values[Math.floor(which * values.length)]!, where)];
      }),
    ),
  );
}

function isRange(value: string): boolean {
  return value.includes("..");
}

function drawn(name: string, value: string, place: number): string {
  if (!isRange(value)) return value;
  const [low, high] = value.split("..").map(Number) as [number, number];
  if (!(low > 0 && high > low && Number.isFinite(high)))
    throw new RangeError(`search of ${name}: expected a range of positive numbers such as 1e-4..1e-2, got ${value}`);
  return (low * (high / low) ** place).toPrecision(3);
}

/** The parts of a run at which candidates are compared: the last is the whole run; halving looks at a ninth and a third, too. */
export function rungsOf(method: SearchSettings["method"]): number[] {
  return method === "asha" ? [1 / eta ** 2, 1 / eta, 1] : [1];
}

/** The step of a rung in a candidate's own run: those with other batches have other numbers of steps. */
export function stepAt({ run }: Pick<TrialRun, "run">, rung: number): number {
  return Math.max(1, Math.round(run.job.config.steps * rung));
}

/**
 * Which candidate is worked on next, and up to which step: one that may go on to a higher rung, or else one that has not begun; undefined where
 * there is nothing to do before others are finished. Candidates are promoted without waiting for a rung to be complete.
 *
 * @param trials every candidate, with the losses that are known
 * @param atWork candidates that are worked on now
 * @source Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", Algorithm 2, arXiv:1810.05934
 */
export function nextTrial(
  trials: readonly TrialOutcome[],
  atWork: ReadonlySet<TrialOutcome["run"]>,
  rungs: readonly number[],
): { readonly trial: TrialOutcome; readonly step: number } | undefined {
  const isFree = ({ run, failure }: TrialOutcome) => failure === undefined && !atWork.has(run);
  for (let rung = rungs.length - 2; rung >= 0; rung--) {
    const reached = ranked(trials, rungs[rung]!);
    const promoted = reached.slice(0, Math.floor(reached.length / eta));
    const trial = promoted.find((one) => isFree(one) && lossAt(one, rungs[rung + 1]!) === undefined);
    if (trial !== undefined) return { trial, step: stepAt(trial, rungs[rung + 1]!) };
  }
  const fresh = trials.find((one) => isFree(one) && lossAt(one, rungs[0]!) === undefined);
  if (fresh !== undefined) return { trial: fresh, step: stepAt(fresh, rungs[0]!) };
  // With few candidates no rung has a third of one: the best of the highest rung goes to the end.
  if (atWork.size > 0) return undefined;
  for (let rung = rungs.length - 2; rung >= 0; rung--) {
    const [best] = ranked(trials, rungs[rung]!);
    if (best === undefined) continue;
    const next = rungs[rung + 1]!;
    return lossAt(best, next) === undefined ? { trial: best, step: stepAt(best, next) } : undefined;
  }
  return undefined;
}

/** The candidate with the lowest loss among those that went furthest. */
export function bestTrial(trials: readonly TrialOutcome[], rungs: readonly number[]): TrialOutcome | undefined {
  return ranked(trials, rungs.at(-1)!)[0];
}

/** Those that have reached a rung, best first. A loss that is not finite is the worst. */
function ranked(trials: readonly TrialOutcome[], rung: number): TrialOutcome[] {
  const value = (trial: TrialOutcome) => {
    const loss = lossAt(trial, rung)!;
    return Number.isFinite(loss) ? loss : Number.POSITIVE_INFINITY;
  };
  return trials.filter((trial) => lossAt(trial, rung) !== undefined).sort((a, b) => value(a) - value(b));
}

function lossAt(trial: TrialOutcome, rung: number): number | undefined {
  const step = stepAt(trial, rung);
  return trial.rungs.find((one) => one.step === step)?.loss;
}
