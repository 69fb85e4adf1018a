import {
  type Concrete,
  compile,
  constant,
  evaluate,
  flatten,
  fromNumbers,
  isNdArray,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView, type ViewOptions } from "../../src/attention/core/view.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import {
  type LongformerAttentionParams,
  longformerAttention,
} from "../../src/attention/softmax/longformer-attention.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { alibi } from "../../src/position/alibi.ts";
import { rotary } from "../../src/position/rotary.ts";
import { looksOf, type MapRead } from "./map-reading.ts";

const device = await openCpu();
afterAll(() => device.close());

const [width, heads] = [12, 3];
const depth = width / heads;

/** The global projections start as the others: told apart, they must be used where they belong. */
function toldApart(mixer: Mixer<LongformerAttentionParams>): Concrete<LongformerAttentionParams> {
  const other = mixer.init(randomKey(8));
  const own = mixer.init(randomKey(7));
  return { ...own, globalQuery: other.key, globalKey: other.value, globalValue: other.query };
}

/** Rows [T][C] through a linear layer. */
function project(rows: number[][], { weight, bias }: { weight: NDArray; bias?: NDArray }): number[][] {
  const [w, b] = [weight.toNumbers(), bias?.toNumbers()];
  return rows.map((row) =>
    Array.from({ length: width }, (_, j) => row.reduce((sum, x, i) => sum + x * w[i * width + j]!, b?.[j] ?? 0)),
  );
}

/** The definition, query by query in plain numbers. */
function define(
  x: number[][],
  params: Concrete<LongformerAttentionParams>,
  sees: (t: number, s: number) => boolean,
  globals: readonly number[],
): number[][] {
  const side = (
    query: keyof LongformerAttentionParams,
    key: keyof LongformerAttentionParams,
    value: keyof LongformerAttentionParams,
  ) => {
    const of = (name: keyof LongformerAttentionParams) =>
      project(x, params[name] as { weight: NDArray; bias?: NDArray });
    return { q: of(query), k: of(key), v: of(value) };
  };
  const near = side("query", "key", "value");
  const wide = side("globalQuery", "globalKey", "globalValue");
  const mixed = x.map((_, t) => {
    const { q, k, v } = globals.includes(t) ? wide : near;
    const row = new Array<number>(width).fill(0);
    for (let h = 0; h < heads; h++) {
      const features = Array.from({ length: depth }, (_, d) => h * depth + d);
      const seen = x.map((_, s) => s).filter((s) => sees(t, s));
      const weights = seen.map((s) =>
        Math.exp(features.reduce((sum, d) => sum + q[t]![d]! * k[s]![d]!, 0) / Math.sqrt(depth)),
      );
      const total = weights.reduce((a, b) => a + b, 0);
      for (const d of features) row[d] = seen.reduce((sum, s, i) => sum + (weights[i]! / total) * v[s]![d]!, 0);
    }
    return row;
  });
  return project(mixed, params.out as { weight: NDArray; bias?: NDArray });
}

describe.each([
  { causal: false, globals: [0] },
  { causal: false, globals: [3, 4, 17] },
  { causal: false, globals: [] },
  { causal: true, globals: [0, 9] },
])("window 6, global $globals, causal $causal", ({ causal, globals }) => {
  test("equals the definition: one softmax near, projections of their own for the global tokens", async () => {
    const mixer = longformerAttention({
      modelWidth: width,
      heads,
      window: 6,
      globals,
      causal,
      initial: normalInitial(0.5),
    });
    const params = toldApart(mixer);
    const length = 25;
    const x = normal(randomKey(1), [1, length, width]);
    const run = compile(
      (params: LongformerAttentionParams, x: Tensor) => {
        const keyMask = constant(fromNumbers([...new Array(23).fill(1), 0, 0], [1, length], "int32"));
        return mixer.apply(
          params,
          { x, view: makeView({ pattern: fullPattern, queries: length, keys: length, keyMask }) },
          {},
        ).y;
      },
      { device },
    );
    const found = (await readTree(await run(params, x))).toNumbers();
    const [before, after] = causal ? [6, 0] : [3, 3];
    const sees = (t: number, s: number) =>
      s < 23 &&
      (s <= t || !causal) &&
      (globals.includes(t) || globals.includes(s) || (s >= t - before && s <= t + after));
    const numbers = x.toNumbers();
    const rows = Array.from({ length }, (_, t) => numbers.slice(t * width, (t + 1) * width));
    const expected = define(rows, params, sees, globals);
    for (let t = 0; t < 23; t++) {
      const worst = Math.max(...expected[t]!.map((y, j) => Math.abs(y - found[t * width + j]!)));
      expect(worst, `position ${t}`).toBeLessThan(1e-4);
    }
  });
});

test("an odd window has no middle", () => {
  const options = { modelWidth: width, heads, window: 5, globals: [], causal: false };
  expect(() => longformerAttention(options)).toThrow("expected an even window, half of it on each side, got 5");
});

describe("global tokens that the view tells", () => {
  const window = 6;
  const make = (more: { globals?: readonly number[]; maxGlobals?: number } = {}) =>
    longformerAttention({
      modelWidth: width,
      heads,
      window,
      globals: [],
      causal: false,
      initial: normalInitial(0.5),
      ...more,
    });
  const masked = (rows: number, length: number, one: (row: number, t: number) => boolean) =>
    fromNumbers(
      Array.from({ length: rows * length }, (_, i) => Number(one(Math.floor(i / length), i % length))),
      [rows, length],
      "int32",
    );

  test("equal the definition row by row; empty slots and padding, global or not, are as if they were not there", async () => {
    const mixer = make({ maxGlobals: 3 });
    const params = toldApart(mixer);
    const length = 25;
    const told = [[0, 16, 24], [5], [], [2, 7, 20, 21], [0]];
    const reals = [length, 20, length, 20, 0];
    const globals = masked(told.length, length, (row, t) => told[row]!.includes(t));
    const keyMask = masked(told.length, length, (row, t) => t < reals[row]!);
    const x = normal(randomKey(1), [told.length, length, width]);
    const run = (params: LongformerAttentionParams, x: Tensor, globals: Tensor, keyMask: Tensor) => {
      const view = makeView({ pattern: fullPattern, queries: length, keys: length, globals, keyMask });
      return mixer.apply(params, { x, view }, {}).y;
    };
    const found = ((await evaluate(run, device, params, x, globals, keyMask)) as unknown as NDArray).toNumbers();
    const numbers = x.toNumbers();
    const bias = params.out.bias!.toNumbers();
    told.forEach((own, row) => {
      const real = reals[row]!;
      const here = own.filter((t) => t < real);
      const sees = (t: number, s: number) =>
        s < real && (here.includes(t) || here.includes(s) || Math.abs(t - s) <= window / 2);
      const rows = Array.from({ length }, (_, t) => {
        const at = (row * length + t) * width;
        return numbers.slice(at, at + width);
      });
      const expected = define(rows, params, sees, here).map((y, t) => (t < real ? y : bias));
      const worst = expected.flat().map((y, i) => Math.abs(y - found[row * length * width + i]!));
      expect(Math.max(...worst), `row ${row}`).toBeLessThan(1e-4);
    });
  });

  test.each([
    ["", {}],
    [" with biases", { scores: (at) => alibi(heads).prepare({}, at) }],
    [" with rotation", { rotation: rotary(depth) }],
  ] satisfies [string, Partial<ViewOptions>][])(
    "are those that the mixer was made with where they are the same%s: outputs, maps, gradients",
    async (_, schemes) => {
      const length = 700;
      const positions = [3, 4, 500];
      const x = normal(randomKey(1), [2, length, width]);
      const keyMask = masked(2, length, (row, t) => row === 0 || t < 620);
      const globals = masked(2, length, (_, t) => positions.includes(t));
      const weights = normal(randomKey(2), [2, length, width]);
      const [given, fixed] = await Promise.all(
        [{}, { globals: positions }].map(async (how) => {
          const mixer = make(how);
          const run = (of: { params: LongformerAttentionParams; x: Tensor }, ...more: Tensor[]) => {
            const [keyMask, globals, weights] = more as [Tensor, Tensor, Tensor];
            const own = "globals" in how ? {} : { globals };
            const view = makeView({ pattern: fullPattern, queries: length, keys: length, keyMask, ...own, ...schemes });
            const { y, map } = mixer.apply(of.params, { x: of.x, view }, {});
            return [sum(mul(y, weights)), { y, map: map!() }] as [Tensor, { y: Tensor; map: never }];
          };
          const both = valueAndGradWithExtra(run);
          const pass = (params: LongformerAttentionParams, x: Tensor, ...more: Tensor[]) => {
            const { gradient, extra } = both({ params, x }, ...more);
            return { gradient, ...extra };
          };
          return (await evaluate(pass, device, toldApart(mixer), x, keyMask, globals, weights)) as unknown as {
            y: NDArray;
            map: MapRead;
            gradient: unknown;
          };
        }),
      );
      const worst = (a: NDArray, b: NDArray) => {
        const other = b.toNumbers();
        return a.toNumbers().reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]!)), 0);
      };
      expect(worst(given!.y, fixed!.y)).toBeLessThan(1e-4);
      const [own, theirs] = [given!, fixed!].map(({ gradient }) => flatten(gradient, isNdArray));
      own!.paths.forEach((path, i) => {
        const scale = Math.max(1, ...theirs!.leaves[i]!.toNumbers().map(Math.abs));
        // Sums over 1,320 positions in float32; that of the keys' bias is 0 but for rounding.
        expect(worst(own!.leaves[i]!, theirs!.leaves[i]!) / scale, path).toBeLessThan(1e-4);
      });
      const [looks, expected] = [looksOf(given!.map), looksOf(fixed!.map)];
      for (const t of [0, 3, 4, 8, 333, 500, 503, 619]) {
        const found = looks(1, 2, t).sort((a, b) => a.key - b.key);
        const wanted = expected(1, 2, t).sort((a, b) => a.key - b.key);
        expect(found.map(({ key }) => key)).toEqual(wanted.map(({ key }) => key));
        found.forEach(({ weight }, i) => {
          expect(weight, `${t}`).toBeCloseTo(wanted[i]!.weight, 5);
        });
      }
    },
  );

  test("beyond `maxGlobals` are like the others", async () => {
    const length = 25;
    const mixer = make({ maxGlobals: 2 });
    const params = toldApart(mixer);
    const x = normal(randomKey(1), [1, length, width]);
    const y = async (positions: readonly number[]) => {
      const globals = masked(1, length, (_, t) => positions.includes(t));
      const run = (params: LongformerAttentionParams, x: Tensor, globals: Tensor) =>
        mixer.apply(params, { x, view: makeView({ pattern: fullPattern, queries: length, keys: length, globals }) }, {})
          .y;
      return ((await evaluate(run, device, params, x, globals)) as unknown as NDArray).toNumbers();
    };
    const two = await y([1, 9]);
    expect(await y([1, 9, 12, 20])).toEqual(two);
    expect(await y([1, 12])).not.toEqual(two);
  });

  test("are nothing for the causal form", async () => {
    const mixer = longformerAttention({ modelWidth: width, heads, window, globals: [0], causal: true });
    expect(mixer.readsGlobals).toBeUndefined();
    const run = (params: LongformerAttentionParams, x: Tensor, globals: Tensor) =>
      mixer.apply(params, { x, view: makeView({ pattern: fullPattern, queries: 8, keys: 8, globals }) }, {}).y;
    const x = normal(randomKey(1), [1, 8, width]);
    const globals = masked(1, 8, (_, t) => t === 0);
    await expect(evaluate(run, device, mixer.init(randomKey(2)), x, globals)).rejects.toThrow("the causal form");
  });
});
