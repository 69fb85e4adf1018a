import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { axialColumn, axialRow } from "../../src/attention/patterns/axial.ts";
import { except, intersection, perHead, union } from "../../src/attention/patterns/combine.ts";
import { dilatedHeads, dilatedWindow } from "../../src/attention/patterns/dilated.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import { causal, denseMask, fullPattern, headsOf, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { perLayer } from "../../src/attention/patterns/per-layer.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { expectShows } from "./patterns/predicate.ts";

const small = fc.integer({ min: 0, max: 9 });
const size = fc.integer({ min: 1, max: 7 });
const uniform: fc.Arbitrary<Pattern> = fc.oneof(
  fc.constantFrom(fullPattern, causal),
  fc.record({ before: small, after: small }).map(slidingWindow),
  fc.record({ before: small, after: small, dilation: size }).map(dilatedWindow),
  fc.record({ columns: size, causal: fc.boolean() }).map(axialRow),
  fc.record({ columns: size, causal: fc.boolean() }).map(axialColumn),
  fc.record({ positions: fc.array(small, { maxLength: 3 }), causal: fc.boolean() }).map(globalTokens),
);
const byHead = fc.tuple(uniform, uniform, uniform).map(perHead);
const any = fc.oneof(uniform, byHead);

/** Cells of the dense mask, of as many heads as asked for. */
function cells(pattern: Pattern, length: number): (query: number, key: number, head: number) => boolean {
  const shown = denseMask(pattern, length).toNumbers();
  const heads = headsOf(pattern).length;
  return (query, key, head) => shown[((head % heads) * length + query) * length + key] === 1;
}

const combinations = [
  ["or", union, (a: boolean, b: boolean) => a || b],
  ["and", intersection, (a: boolean, b: boolean) => a && b],
  ["except", except, (a: boolean, b: boolean) => a && !b],
] as const;

describe.each(combinations)("%s", (_, combine, of) => {
  test("is that of the masks, head by head, and its parts make the whole", () => {
    fc.assert(
      fc.property(any, any, fc.integer({ min: 1, max: 20 }), (a, b, length) => {
        const [first, second] = [cells(a, length), cells(b, length)];
        expectShows(combine(a, b), (j, i, head) => of(first(i, j, head), second(i, j, head)), [length]);
      }),
      { numRuns: 60 },
    );
  });

  test("nests, parts included", () => {
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        const [first, second, third] = [a, b, c].map((each) => cells(each, 16)) as [
          ReturnType<typeof cells>,
          ReturnType<typeof cells>,
          ReturnType<typeof cells>,
        ];
        expectShows(
          combine(union(a, b), c),
          (j, i, head) => of(first(i, j, head) || second(i, j, head), third(i, j, head)),
          [16],
        );
      }),
      { numRuns: 40 },
    );
  });
});

test("one of several: or and and take any number", () => {
  const windows = [1, 2, 3].map((before) => slidingWindow({ before, after: 0 })) as [Pattern, Pattern, Pattern];
  expect(union(...windows).keys(9, 20)).toEqual([6, 10]);
  expect(intersection(...windows).keys(9, 20)).toEqual([8, 10]);
  expect(union(fullPattern)).toBe(fullPattern);
});

test("per head: head h sees pattern h, all together what any sees", () => {
  const pattern = perHead([slidingWindow({ before: 0, after: 0 }), causal]);
  expectShows(pattern, (j, i, head) => (head === 0 ? j === i : j <= i));
  expect(pattern.keys(3, 9)).toEqual([0, 4]);
  expect(() => perHead([])).toThrow("at least one");
  expect(() => perHead([fullPattern, pattern])).toThrow("differs by head already");
});

test("patterns that differ over other numbers of heads do not combine", () => {
  const three = dilatedHeads({ before: 1, after: 1, dilations: [1, 2, 3] });
  expect(() => union(three, perHead([fullPattern, causal]))).toThrow("for 3 heads, the second for 2");
});

test("per layer: in turn", () => {
  const layers = perLayer([fullPattern, causal]);
  expect([layers(0), layers(1), layers(2)]).toEqual([fullPattern, causal, fullPattern]);
  expect(() => perLayer([])).toThrow("at least one");
});
