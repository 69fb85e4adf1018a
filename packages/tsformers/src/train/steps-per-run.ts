import { flatten, isNdArray, NDArray, shapeText, structureText, type TypedArray, unflatten } from "@tsformers/engine";
import { median } from "./median.ts";

/** A run of the device with several steps takes about so long, so that progress is seen and Ctrl-C is heard. */
const runMs = 1000;

/** More steps than these have nothing left to save. */
const mostSteps = 16;

/** Single steps before the choice, of which the first is not counted: it is the slowest. */
const tried = 6;

/** What preparing the second program may take of the time that is left. Less is saved where steps are few or their programs large. */
const preparingShare = 1 / 20;

/** How many steps a training makes in one run of the device: see {@link stepsPerRun}. */
export type StepsPerRun = {
  /** Steps of the next run, when so many are made. */
  next(done: number): number;
  /** Tells how long preparing a single step took, which preparing several in one run takes again. */
  prepared(ms: number): void;
  /** Tells how long a single step took. */
  took(ms: number): void;
  /** From now on, one by one. */
  giveUp(): void;
};

/**
 * Between two runs the state goes through JavaScript, which copies it, keeps account of it and collects what is left over. With several steps
 * in one run this is done once for all of them. What is computed is the same, to the last bit.
 *
 * @param options `fixed`: so many, instead of a choice by the time of a step; `last`: where the training ends or pauses; `every`:
 *   numbers of steps, if any, after each of which something else is to be done; `mayChoose`: whether several are better at all
 */
export function stepsPerRun(options: {
  readonly fixed?: number | undefined;
  readonly mayChoose: boolean;
  readonly last: number;
  readonly every: readonly (number | undefined)[];
}): StepsPerRun {
  const { fixed, last, mayChoose } = options;
  const every = options.every.filter((steps) => steps !== undefined);
  const times: number[] = [];
  let preparingMs = 0;
  const choose = (left: number): number => {
    const ms = median(times.slice(1));
    if (preparingMs > left * ms * preparingShare) return 1;
    return Math.max(1, Math.min(mostSteps, Math.floor(runMs / ms), ...every));
  };
  let chosen = fixed ?? (mayChoose ? undefined : 1);
  return {
    next: (done) => {
      if (times.length >= tried) chosen ??= choose(last - done);
      const steps = chosen ?? 1;
      const stops = [last, ...every.map((each) => (Math.floor(done / each) + 1) * each)];
      return done + steps <= Math.min(...stops) ? steps : 1;
    },
    prepared: (ms) => void (preparingMs = ms),
    took: (ms) => void times.push(ms),
    giveUp: () => void (chosen = 1),
  };
}

/** Trees of one structure as one tree, whose arrays have a new leading axis; undefined where structures, shapes or dtypes differ. */
export function stackTrees<Tree>(trees: readonly Tree[]): Tree | undefined {
  const all = trees.map((tree) => flatten(tree, isNdArray));
  const [{ structure, leaves }] = all as [(typeof all)[number]];
  const kind = (each: (typeof all)[number]) => structureText(each.structure) + each.leaves.map(typeText).join();
  if (all.some((each) => kind(each) !== kind(all[0]!))) return undefined;
  return unflatten(
    structure,
    leaves.map((_, i) => stackArrays(all.map((each) => each.leaves[i]!))),
  ) as Tree;
}

function typeText({ shape, dtype }: NDArray): string {
  return `${dtype}${shapeText(shape)}`;
}

function stackArrays(arrays: readonly NDArray[]): NDArray {
  const [{ shape, dtype, data }] = arrays as [NDArray];
  const stacked = new (data.constructor as new (size: number) => TypedArray)(arrays.length * data.length);
  for (const [i, array] of arrays.entries()) stacked.set(array.data as never, i * data.length);
  return new NDArray([arrays.length, ...shape], dtype, stacked);
}
