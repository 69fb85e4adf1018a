import { expect, test } from "vitest";
import { denseMask, type Pattern } from "../../../src/attention/patterns/pattern.ts";
import { blockwisePattern } from "../../../src/verify/mechanisms/blockwise.ts";
import { imageLocalPattern } from "../../../src/verify/mechanisms/image-local.ts";
import { sparseTransformerPattern } from "../../../src/verify/mechanisms/sparse-transformer.ts";
import { mechanismCases } from "../../fixtures/mechanism.ts";

type PatternOf = (options: Readonly<Record<string, unknown>>, length: number) => Pattern;
const fixtures: [string, PatternOf][] = [
  ["sparse_transformer", sparseTransformerPattern],
  ["blockwise", blockwisePattern],
  ["image_local", imageLocalPattern],
];

const cases = fixtures.flatMap(([fixture, patternOf]) =>
  mechanismCases(fixture).map(({ name, options, arrays }) => [fixture, name, options, arrays, patternOf] as const),
);

test.each(cases)("%s %s: the stored mask is the pattern %j", (_, _name, options, arrays, patternOf) => {
  const stored = arrays.get("mask")!;
  const length = stored.shape.at(-1)!;
  const shown = denseMask(patternOf(options, length), length);
  const [found, masks] = [shown.toNumbers(), stored.toNumbers()];
  const heads = stored.shape.length === 3 ? stored.shape[0]! : 1;
  for (let head = 0; head < heads; head++) {
    const own = head % shown.shape[0]!;
    const size = length * length;
    expect(found.slice(own * size, (own + 1) * size)).toEqual(masks.slice(head * size, (head + 1) * size));
  }
});

test("options that no case has are refused", () => {
  expect(() => sparseTransformerPattern({ pattern: "fixed_merged", l: 4 })).toThrow("c");
  expect(() => sparseTransformerPattern({ pattern: "strided_local", l: 4, c: 1 })).toThrow("c");
  expect(() => blockwisePattern({ n_blocks: 2, permutation: [0, 1, 2] })).toThrow("3 blocks permuted");
  expect(() =>
    imageLocalPattern({ kind: "2d", height: 2, width: 2, query_block: [1, 1], memory_flange: [0, 0] }, 5),
  ).toThrow("5 positions");
});
