import type { Runs } from "../patterns/pattern.ts";

/** Runs of a set of keys, given in any order and with repetitions. */
export function runsOf(keys: Iterable<number>): Runs {
  const runs: number[] = [];
  for (const key of [...keys].sort((a, b) => a - b)) {
    if (runs.length > 0 && key < runs.at(-1)!) continue;
    if (runs.at(-1) === key) runs[runs.length - 1] = key + 1;
    else runs.push(key, key + 1);
  }
  return runs;
}

/** Number of keys. */
export function countRuns(runs: Runs): number {
  let count = 0;
  for (let i = 0; i < runs.length; i += 2) count += runs[i + 1]! - runs[i]!;
  return count;
}

/** Union: keys of `a` or of `b`. */
export function uniteRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA || inB);
}

/** Intersection: keys of both `a` and `b`. */
export function intersectRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA && inB);
}

/** Difference: keys of `a` that are not in `b`. */
export function subtractRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA && !inB);
}

/** Keys in [low, high). */
export function clipRuns(runs: Runs, low: number, high: number): Runs {
  return intersectRuns(runs, low < high ? [low, high] : []);
}

/** Sweeps over the ends of all runs from left to right: between two ends, either all keys are in a set or none. */
function sweep(a: Runs, b: Runs, keep: (inA: boolean, inB: boolean) => boolean): Runs {
  const runs: number[] = [];
  let [i, j, open] = [0, 0, false];
  while (i < a.length || j < b.length) {
    const at = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    // After an odd number of ends we are inside a run.
    while (a[i] === at) i++;
    while (b[j] === at) j++;
    const kept = keep(i % 2 === 1, j % 2 === 1);
    if (kept !== open) runs.push(at);
    open = kept;
  }
  return runs;
}
