import fc from "fast-check";
import { expect, test } from "vitest";
import { clipRuns, countRuns, intersectRuns, runsOf, subtractRuns, uniteRuns } from "../../src/attention/core/runs.ts";

const keys = fc.array(fc.nat(40), { maxLength: 30 });
const sorted = (set: Set<number>) => [...set].sort((a, b) => a - b);

function keysIn(runs: readonly number[]): number[] {
  const found: number[] = [];
  for (let i = 0; i < runs.length; i += 2) for (let key = runs[i]!; key < runs[i + 1]!; key++) found.push(key);
  return found;
}

test("runs hold the keys they are made of, as few as can be", () => {
  fc.assert(
    fc.property(keys, (list) => {
      const runs = runsOf(list);
      expect(keysIn(runs)).toEqual(sorted(new Set(list)));
      expect(countRuns(runs)).toBe(new Set(list).size);
      expect([-1, ...runs].every((end, i, all) => i === 0 || end > all[i - 1]!)).toBe(true);
    }),
  );
});

test("union, intersection and difference are those of sets", () => {
  fc.assert(
    fc.property(keys, keys, (first, second) => {
      const [a, b] = [new Set(first), new Set(second)];
      const all = [...a, ...b];
      const [left, right] = [runsOf(first), runsOf(second)];
      expect(uniteRuns(left, right)).toEqual(runsOf(all));
      expect(intersectRuns(left, right)).toEqual(runsOf(all.filter((key) => a.has(key) && b.has(key))));
      expect(subtractRuns(left, right)).toEqual(runsOf(all.filter((key) => a.has(key) && !b.has(key))));
    }),
  );
});

test("clipping leaves what lies within", () => {
  fc.assert(
    fc.property(keys, fc.nat(45), fc.nat(45), (list, low, high) => {
      expect(clipRuns(runsOf(list), low, high)).toEqual(runsOf(list.filter((key) => key >= low && key < high)));
    }),
  );
});
