import type { Runs } from "../patterns/pattern.ts";

/** Runs of any number of keys, given in any order and with repetitions. */
export function runsOf(keys: Iterable<number>): Runs {
  const runs: number[] = [];
  for (const key of [...keys].sort((a, b) => a - b)) {
    if (runs.length > 0 && key < runs.at(-1)!) continue;
    if (runs.at(-1) === key) runs[runs.length - 1] = key + 1;
    else runs.push(key, key + 1);
  }
  return runs;
}

/** How many keys. */
export function countRuns(runs: Runs): number {
  let count = 0;
  for (let i = 0; i < runs.length; i += 2) count += runs[i + 1]! - runs[i]!;
  return count;
}

/** Keys of `a` or of `b`. */
export function uniteRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA || inB);
}

/** Keys of `a` and of `b`. */
export function intersectRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA && inB);
}

/** Keys of `a` that are not of `b`. */
export function subtractRuns(a: Runs, b: Runs): Runs {
  return sweep(a, b, (inA, inB) => inA && !inB);
}

/** Keys in [low, high). */
export function clipRuns(runs: Runs, low: number, high: number): Runs {
  return intersectRuns(runs, low < high ? [low, high] : []);
}

/** Walks the ends of both from left to right: what lies between two ends is in a set or not, as a whole. */
function sweep(a: Runs, b: Runs, keep: (inA: boolean, inB: boolean) => boolean): Runs {
  const runs: number[] = [];
  let [i, j, open] = [0, 0, false];
  while (i < a.length || j < b.length) {
    const at = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    // An odd number of ends behind us means that we are inside a run.
    while (a[i] === at) i++;
    while (b[j] === at) j++;
    const kept = keep(i % 2 === 1, j % 2 === 1);
    if (kept !== open) runs.push(at);
    open = kept;
  }
  return runs;
}
