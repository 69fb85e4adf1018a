import { expect } from "vitest";
import { intersectRuns, uniteRuns } from "../../../src/attention/core/runs.ts";
import { denseMask, headsOf, type Pattern } from "../../../src/attention/patterns/pattern.ts";

/** Whether query i sees key j, written as plainly as can be. */
export type Predicate = (j: number, i: number, head: number) => boolean;

export const lengths: readonly number[] = [1, 2, 7, 63, 100];

/** That a pattern shows what the predicate says, in well-formed runs, with orders and parts that keep their promises. */
export function expectShows(pattern: Pattern, visible: Predicate, at: readonly number[] = lengths): void {
  for (const length of at) {
    const shown = denseMask(pattern, length).toNumbers();
    const differing: string[] = [];
    headsOf(pattern).forEach((own, head) => {
      expectWellFormed(own, length);
      for (let i = 0; i < length; i++) {
        for (let j = 0; j < length; j++) {
          const cell = shown[(head * length + i) * length + j] === 1;
          if (cell !== visible(j, i, head)) differing.push(`head ${head}: ${i} → ${j} shown ${cell}`);
        }
      }
    });
    expect(differing.slice(0, 5), `${pattern.name}, length ${length}`).toEqual([]);
    if (pattern.heads !== undefined) expectUnion(pattern, pattern.heads, length);
  }
}

/** That no query sees a key behind it. */
export function expectCausal(pattern: Pattern, length = 65): void {
  for (const own of headsOf(pattern)) {
    const ahead = positions(length).filter((i) => (own.keys(i, length).at(-1) ?? 0) > i + 1);
    expect(ahead, own.name).toEqual([]);
  }
}

function expectWellFormed(pattern: Pattern, length: number): void {
  // Each end lies beyond the one before, those of different runs by a gap.
  const isWell = (runs: readonly number[]) =>
    runs.length % 2 === 0 && [-1, ...runs].every((end, at, all) => at === 0 || end > all[at - 1]!);
  const ill = positions(length).filter((i) => {
    const runs = pattern.keys(i, length);
    return !isWell(runs) || (runs.at(-1) ?? 0) > length;
  });
  expect(ill, `${pattern.name}: queries with ill-formed runs`).toEqual([]);
  if (pattern.order !== undefined) {
    expect([...pattern.order(length)].sort((a, b) => a - b)).toEqual(positions(length));
  }
  if (pattern.parts === undefined) return;
  expectUnion(pattern, pattern.parts, length);
  const doubled = positions(length).filter((i) => {
    const [first, second] = pattern.parts!.map((part) => part.keys(i, length));
    return intersectRuns(first!, second!).length > 0;
  });
  expect(doubled, `${pattern.name}: queries whose parts overlap`).toEqual([]);
}

function expectUnion(pattern: Pattern, parts: readonly Pattern[], length: number): void {
  const united = positions(length).map((i) => parts.map((part) => part.keys(i, length)).reduce(uniteRuns));
  expect(united).toEqual(positions(length).map((i) => pattern.keys(i, length)));
}

function positions(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}
