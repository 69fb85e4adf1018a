import { randomKey } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { headsOf } from "../../src/attention/patterns/pattern.ts";
import { models } from "../../src/catalogue/models.ts";
import { type SparseTransformerOptions, sparseTransformer } from "../../src/models/decoders/sparse-transformer.ts";

const sizes = { vocabularySize: 11, layers: 8, modelWidth: 64, heads: 4, length: 64, stride: 8 };

/** The keys that a query sees in a layer, head by head. */
function seen(options: Partial<SparseTransformerOptions>, layer: number, query: number): number[][] {
  const model = sparseTransformer({ ...sizes, factors: { kind: "strided" }, ...options });
  return headsOf(model.patterns[layer]!).map((pattern) => {
    const runs = pattern.keys(query, sizes.length);
    const keys: number[] = [];
    for (let i = 0; i < runs.length; i += 2) for (let key = runs[i]!; key < runs[i + 1]!; key++) keys.push(key);
    return keys;
  });
}

const lastEight = [34, 35, 36, 37, 38, 39, 40, 41];
const everyEighth = [1, 9, 17, 25, 33, 41];
const block = [40, 41];
const summaries = (...places: number[]) => [0, 8, 16, 24, 32].flatMap((first) => places.map((place) => first + place));

describe("the ways in which the two factors are used, at position 41 with l = 8 and c = 2", () => {
  test("strided: in layers in turn, both in every head, in heads in turn", () => {
    expect([0, 1, 2].map((layer) => seen({}, layer, 41))).toEqual([[lastEight], [everyEighth], [lastEight]]);
    expect(seen({ use: "merged" }, 3, 41)).toEqual([[1, 9, 17, 25, 33, ...lastEight]]);
    expect(seen({ use: "heads" }, 3, 41)).toEqual([lastEight, everyEighth]);
  });

  test("fixed: merged, heads have summary positions of their own, counted from the end of blocks", () => {
    const factors = { kind: "fixed", summary: 2 } as const;
    expect([0, 1].map((layer) => seen({ factors }, layer, 41))).toEqual([[block], [summaries(6, 7)]]);
    expect(seen({ factors, use: "heads" }, 0, 41)).toEqual([block, summaries(6, 7)]);
    const [first, second, third, fourth] = seen({ factors, use: "merged" }, 0, 41);
    expect([first, second]).toEqual([
      [...summaries(6, 7), ...block],
      [...summaries(4, 5), ...block],
    ]);
    expect(third).toEqual([...summaries(2, 3), ...block]);
    expect(fourth).toEqual([...summaries(0, 1), ...block]);
  });

  test("two layers in turn connect every position with all before it", () => {
    const near = new Set(seen({}, 0, 41)[0]!.flatMap((middle) => seen({}, 1, middle)[0]!));
    for (let key = 0; key <= 34; key++) expect(near.has(key), `${key}`).toBe(true);
  });
});

test("weights begin as published: by the number of inputs, residual branches by depth, the output as nothing", () => {
  const model = sparseTransformer({ ...sizes, factors: { kind: "strided" } });
  const { blocks, tokens, positions, head } = model.init(randomKey(1)) as unknown as {
    blocks: { mixer: Record<string, Weights>; ffn: Record<string, Weights> }[];
    tokens: Weights;
    positions: { rows: Numbers };
    head: Weights;
  };
  const expected: [Numbers, number][] = [
    [blocks[0]!.mixer.query!.weight, 0.125 / 8],
    [blocks[0]!.mixer.out!.weight, 0.125 / 8 / 4],
    [blocks[7]!.ffn.in!.weight, 0.125 / 8],
    [blocks[7]!.ffn.out!.weight, 0.125 / 16 / 4],
    [tokens.weight, 0.125 / 8],
    [positions.rows, 0.125 / 8 / Math.SQRT2],
    [head.weight, 0],
  ];
  for (const [weight, deviation] of expected) {
    const values = weight.toNumbers();
    const found = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(Math.abs(found - deviation)).toBeLessThanOrEqual(0.1 * deviation);
  }
});

type Numbers = { toNumbers(): number[] };
type Weights = { weight: Numbers };

test("options that do nothing, or do not fit, are refused in a line", () => {
  const make = (more: object) => () => models["sparse-transformer"].make({ ...sizes, ...more });
  expect(make({ summary: 2 })).toThrow("sparse-transformer: summary does nothing with strided factors; leave it out");
  expect(make({ factors: "fixed", summary: 9 })).toThrow("9 summary positions at place 0 do not fit into a block of 8");
});
