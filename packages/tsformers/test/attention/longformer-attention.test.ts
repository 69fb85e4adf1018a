import {
  type Concrete,
  compile,
  constant,
  fromNumbers,
  type NDArray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { full } from "../../src/attention/patterns/pattern.ts";
import {
  type LongformerAttentionParams,
  longformerAttention,
} from "../../src/attention/softmax/longformer-attention.ts";
import { normalInitial } from "../../src/nn/initial.ts";

const device = await openCpu();
afterAll(() => device.close());

const [width, heads] = [12, 3];
const depth = width / heads;

/** Rows [T][C] through a linear layer. */
function project(rows: number[][], { weight, bias }: { weight: NDArray; bias?: NDArray }): number[][] {
  const [w, b] = [weight.toNumbers(), bias?.toNumbers()];
  return rows.map((row) =>
    Array.from({ length: width }, (_, j) => row.reduce((sum, x, i) => sum + x * w[i * width + j]!, b?.[j] ?? 0)),
  );
}

/** The definition, query by query in plain numbers; keys that `real` does not hold are padding. */
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
    // The global projections start as the others: told apart, they must be used where they belong.
    const other = mixer.init(randomKey(8));
    const own = mixer.init(randomKey(7));
    const params = { ...own, globalQuery: other.key, globalKey: other.value, globalValue: other.query };
    const length = 25;
    const x = normal(randomKey(1), [1, length, width]);
    const run = compile(
      (params: LongformerAttentionParams, x: Tensor) => {
        const keyMask = constant(fromNumbers([...new Array(23).fill(1), 0, 0], [1, length], "int32"));
        return mixer.apply(params, { x, view: makeView({ pattern: full, queries: length, keys: length, keyMask }) }, {})
          .y;
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
