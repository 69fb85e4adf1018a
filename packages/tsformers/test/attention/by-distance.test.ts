import {
  add,
  constant,
  evaluate,
  flatten,
  fromNumbers,
  isNdArray,
  mul,
  type NDArray,
  randomKey,
  slice,
  sum,
  type Tensor,
  unflatten,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { collect, spread, spreadFormula } from "../../src/attention/core/by-distance.ts";
import { attend } from "../../src/attention/core/executor.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { perHead } from "../../src/attention/patterns/combine.ts";
import { causal, fullPattern, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { strided } from "../../src/attention/patterns/strided.ts";
import type { Positions, ScoreMod, View } from "../../src/kinds/index.ts";
import { adaptiveSpan } from "../../src/position/adaptive-span.ts";
import { alibi } from "../../src/position/alibi.ts";
import { distanceAware } from "../../src/position/distance-aware.ts";
import { shaw } from "../../src/position/shaw.ts";
import { bidirectionalBuckets, t5Bias } from "../../src/position/t5-bias.ts";
import { transformerXlScores } from "../../src/position/transformer-xl.ts";

const device = await openCpu();
afterAll(() => device.close());

/** Numbers that look random, in −1 … 1. */
function noise(shape: readonly number[], seed: number): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  const numbers = Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233 + ((i * i) % 97)));
  return fromNumbers(numbers, shape);
}

function expectClose(found: NDArray, expected: readonly number[], what: string, tolerance: number): void {
  const numbers = found.toNumbers();
  expect(numbers.length, what).toBe(expected.length);
  const worst = numbers.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);
  expect(worst, what).toBeLessThan(tolerance);
}

/** Queries, the first of them, and runs of keys: near, far behind, far ahead, around, one query, one key, several runs. */
const layouts: [number, number, [number, number][]][] = [
  [7, 0, [[0, 7]]],
  [5, 20, [[0, 9]]],
  [5, 0, [[30, 4]]],
  [4, 10, [[0, 40]]],
  [1, 6, [[0, 13]]],
  [6, 3, [[4, 1]]],
  [
    3,
    12,
    [
      [0, 4],
      [9, 8],
      [30, 2],
    ],
  ],
];

describe.each(layouts)("%i queries from %i on, keys %j", (queries, first, runs) => {
  const keys = runs.flatMap(([from, length]) => Array.from({ length }, (_, i) => from + i));
  const inLines = (): Positions => ({
    query: constant(
      fromNumbers(
        Array.from({ length: queries }, (_, t) => first + t),
        [queries],
        "int32",
      ),
    ),
    key: constant(fromNumbers(keys, [keys.length], "int32")),
    lines: { query: first, keys: runs.map(([from, length]) => ({ from, length })) },
  });
  const lookedUp = (): Positions => {
    const { query, key } = inLines();
    return { query, key };
  };
  const pairs = [...Array(queries).keys()].flatMap((t) => keys.map((key, s) => ({ t, s, distance: key - first - t })));
  const [low, high, count] = [-6, 4, 11];
  const clip = (distance: number) => Math.min(Math.max(distance, low), high) - low;

  test.each([1, queries])("values of %i rows are laid out, and gradients come back", async (rows) => {
    const x = noise([2, 3, rows, count], 3);
    const r = noise([2, 3, queries, keys.length], 4);
    const [given, weights] = [x.toNumbers(), r.toNumbers()];
    const expected: number[] = [];
    const slopes = given.map(() => 0);
    for (let bh = 0; bh < 6; bh++) {
      for (const { t, distance } of pairs) {
        const at = (bh * rows + (rows === 1 ? 0 : t)) * count + clip(distance);
        slopes[at] = slopes[at]! + weights[expected.length]!;
        expected.push(given[at]!);
      }
    }
    for (const positions of [inLines, lookedUp]) {
      const run = (x: Tensor, r: Tensor) => {
        const fn = (x: Tensor) =>
          mul(
            spread(positions(), { low, high, values: (from, to) => slice(x, -1, from - low, to - low) }),
            add(mul(r, 0), 1),
          );
        return [fn(x), valueAndGrad((x: Tensor) => sum(mul(fn(x), r)))(x).gradient];
      };
      const [out, gradient] = (await evaluate(run, device, x, r)) as unknown as [NDArray, NDArray];
      expectClose(out, expected, positions.name, 1e-6);
      expectClose(gradient, slopes, `${positions.name}, gradient`, 1e-5);
    }
  });

  test("a formula is that of each pair's distance", async () => {
    const scale = noise([2, 1, 1], 5);
    const run = (scale: Tensor) =>
      [inLines, lookedUp].map((positions) =>
        add(
          spreadFormula(positions(), (d) => mul(mul(d, d), scale)),
          constant(noise([2, queries, keys.length], 1)),
        ),
      );
    const zero = noise([2, queries, keys.length], 1).toNumbers();
    const expected = scale
      .toNumbers()
      .flatMap((x, h) => pairs.map(({ distance }, i) => distance ** 2 * x + zero[h * pairs.length + i]!));
    for (const found of (await evaluate(run, device, scale)) as unknown as NDArray[])
      expectClose(found, expected, "", 1e-3);
  });

  test("weights collect the vectors of their distances", async () => {
    const [weights, table] = [noise([2, 3, queries, keys.length], 6), noise([count, 4], 7)];
    const [w, vectors] = [weights.toNumbers(), table.toNumbers()];
    const expected = new Array<number>(2 * 3 * queries * 4).fill(0);
    for (let bh = 0; bh < 6; bh++) {
      pairs.forEach(({ t, distance }, i) => {
        for (let d = 0; d < 4; d++) {
          const at = (bh * queries + t) * 4 + d;
          expected[at] = expected[at]! + w[bh * pairs.length + i]! * vectors[clip(distance) * 4 + d]!;
        }
      });
    }
    const run = (weights: Tensor, table: Tensor) =>
      [inLines, lookedUp].map((positions) =>
        collect(weights, positions(), {
          low,
          high,
          vectors: (from, to) => slice(table, 0, from - low, to - low),
        }),
      );
    for (const found of (await evaluate(run, device, weights, table)) as unknown as NDArray[])
      expectClose(found, expected, "", 1e-5);
  });
});

type Scheme = ScoreMod<never, never>;
const [heads, headWidth] = [3, 4];
const schemes: [string, Scheme][] = [
  ["alibi", alibi(heads) as Scheme],
  ["alibi per direction", alibi(heads, { perDirection: true }) as Scheme],
  [
    "t5",
    t5Bias(heads, bidirectionalBuckets({ buckets: 8, maxDistance: 20 }), { buckets: 8, maxDistance: 20 }) as Scheme,
  ],
  ["shaw", shaw({ headWidth, maxDistance: 5 }) as Scheme],
  [
    "transformer-xl",
    transformerXlScores({ layers: 1, modelWidth: 12, heads, bidirectional: true }) as unknown as Scheme,
  ],
  [
    "transformer-xl, clamped",
    transformerXlScores({ layers: 1, modelWidth: 12, heads, bidirectional: true, maxDistance: 9 }) as unknown as Scheme,
  ],
  ["distance-aware", distanceAware(heads) as Scheme],
  ["adaptive span", adaptiveSpan({ heads, maxSpan: 40, ramp: 7, startShare: 0.31, keyWidth: headWidth }) as Scheme],
];

const oddHeads: Pattern = perHead([
  fullPattern,
  { name: "near", keys: (query, length) => [Math.max(0, query - 9), Math.min(length, query + 12)] },
]);
const cases: [string, Pattern, number, { queriesPerBlock?: number }][] = [
  ["one query", fullPattern, 1, {}],
  ["blocks", causal, 63, { queriesPerBlock: 32 }],
  ["an order of its own", strided({ stride: 7, causal: false }), 100, { queriesPerBlock: 32 }],
  ["heads that differ", oddHeads, 70, { queriesPerBlock: 32 }],
];

/** Blocks against one dense pass in which every pair looks up its own distance. */
async function agree(
  scheme: Scheme,
  pattern: Pattern,
  length: number,
  options: { queriesPerBlock?: number },
): Promise<void> {
  const shape = [length > 1000 ? 1 : 2, heads, length, headWidth];
  const [q, k, v, r] = [1, 2, 3, 4].map((seed) => noise(shape, seed)) as [NDArray, NDArray, NDArray, NDArray];
  const { leaves, rebuild } = flat(scheme.init(randomKey(3)));
  const louder = leaves.map((leaf, i) => (leaf.shape.length < 2 ? leaf : noise(leaf.shape, 10 + i)));
  type All = [q: Tensor, k: Tensor, v: Tensor, params: Tensor[]];
  const run = (view: (scores: NonNullable<View["scores"]>) => View) => (all: All, r: Tensor) => {
    const fn = ([q, key, value, own]: All) => {
      const params = rebuild(own) as never;
      const layer = scheme.forLayer?.(params, 0, { queries: length, keys: length }) ?? params;
      const scores = (positions: Positions) => scheme.prepare(layer as never, positions);
      return attend(q, { key, value }, { view: view(scores), scale: 0.5, context: {} }).mixed;
    };
    return [fn(all), valueAndGrad((all: All) => sum(mul(fn(all), r)))(all).gradient] as const;
  };
  const sizes = { pattern, queries: length, keys: length };
  const fast = run((scores) => makeView({ ...sizes, ...options, scores }));
  const slow = run((scores) => {
    const { positions, ...view } = makeView(sizes);
    const { query, key } = positions;
    const every = scores({ query, key });
    const whole = { ...view, positions: { query, key }, blindAverage: true as const };
    return { ...whole, prepared: new Map([[pattern, every]]) };
  });
  const outs = await Promise.all(
    [fast, slow].map(
      async (fn) => flatten(await evaluate(fn, device, [q, k, v, louder] as never, r), isNdArray).leaves,
    ),
  );
  const names = ["output", "queries", "keys", "values", ...louder.map((_, i) => `parameter ${i}`)];
  outs[0]!.forEach((leaf, i) => {
    const expected = outs[1]![i]!.toNumbers();
    const size = Math.max(1, ...expected.map(Math.abs).slice(0, 10_000));
    expectClose(leaf, expected, names[i]!, 5e-5 * size);
  });
}

describe.each(schemes)("%s", (name, scheme) => {
  test.each(cases)("in %s is what it is pair by pair, gradients included", (_, pattern, length, options) =>
    agree(scheme, pattern, length, options),
  );

  test("depends on distances alone, where rows of a batch stand elsewhere", async () => {
    const length = 20;
    const shape = [2, heads, length, headWidth];
    const [q, k, v] = [1, 2, 3].map((seed) => noise(shape, seed)) as [NDArray, NDArray, NDArray];
    const { leaves, rebuild } = flat(scheme.init(randomKey(3)));
    const louder = leaves.map((leaf, i) => (leaf.shape.length < 2 ? leaf : noise(leaf.shape, 10 + i)));
    const at = fromNumbers(
      Array.from({ length: 2 * length }, (_, i) => (i < length ? i : i + 7)),
      [2, length],
      "int32",
    );
    const run = (q: Tensor, key: Tensor, value: Tensor, at: Tensor, own: Tensor[]) => {
      const params = rebuild(own) as never;
      const sizes = { queries: length, keys: length };
      const layer = (scheme.forLayer?.(params, 0, sizes) ?? params) as never;
      return [{}, { positions: { query: at, key: at } }].map((more) => {
        const view = makeView({
          pattern: fullPattern,
          ...sizes,
          ...more,
          scores: (where) => scheme.prepare(layer, where),
        });
        return attend(q, { key, value }, { view, scale: 0.5, context: {} }).mixed;
      });
    };
    const [plain, moved] = (await evaluate(run, device, q, k, v, at, louder as never)) as unknown as [NDArray, NDArray];
    expectClose(moved, plain.toNumbers(), "", 5e-5);
  });

  // One of each kind: a formula, a table for all queries, products with queries, values.
  test.runIf(["distance-aware", "t5", "transformer-xl", "shaw"].includes(name))(
    "where weights are not kept is what it is pair by pair, gradients included",
    () => agree(scheme, causal, 1100, { queriesPerBlock: 550 }),
  );
});

function flat(tree: unknown): { leaves: NDArray[]; rebuild: (leaves: Tensor[]) => unknown } {
  const { leaves, structure } = flatten(tree, isNdArray);
  return { leaves, rebuild: (own) => unflatten(structure, own) };
}
