import {
  abs,
  add,
  broadcastTo,
  cast,
  compile,
  concat,
  constant,
  expandDims,
  fromNumbers,
  iota,
  matmul,
  max,
  mul,
  type NDArray,
  neg,
  readTree,
  reshape,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
  tanh,
  valueAndGrad,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { attend } from "../../src/attention/core/executor.ts";
import { computedPairs, plansOf } from "../../src/attention/core/plan.ts";
import { clipRuns, runsOf } from "../../src/attention/core/runs.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { except, perHead, union } from "../../src/attention/patterns/combine.ts";
import { causal, denseMask, fullPattern, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { windowWithSinks } from "../../src/attention/patterns/sinks.ts";
import type { View } from "../../src/kinds/index.ts";
import { alibi, alibiSlopes } from "../../src/position/alibi.ts";

const device = await openCpu();
afterAll(() => device.close());

const near = (width: number): Pattern => ({
  name: "near",
  keys: (query, length) => [Math.max(0, query - width), Math.min(length, query + 1)],
});
const residues = (stride: number): Pattern => ({
  name: "residues",
  keys: (query) =>
    runsOf(Array.from({ length: Math.floor(query / stride) + 1 }, (_, i) => (query % stride) + i * stride)),
  order: (length) =>
    Int32Array.from(Array.from({ length }, (_, i) => i).sort((a, b) => (a % stride) - (b % stride) || a - b)),
});
/** Odd queries see nothing. */
const blind: Pattern = { name: "blind", keys: (query, length) => (query % 2 === 1 ? [] : [0, length]) };
/** Some blocks of 32, others for each head, as many for all. */
const scattered = (head: number): Pattern => ({
  name: `scattered ${head}`,
  keys: (query, length) => {
    const blocks = Math.ceil(length / 32);
    const own = Math.floor(query / 32);
    return clipRuns(
      runsOf([own, (own + head + 1) % blocks].flatMap((block) => Array.from({ length: 32 }, (_, i) => block * 32 + i))),
      0,
      length,
    );
  },
});
const strided = union(near(5), residues(7));

const patterns: [string, Pattern][] = [
  ["full", fullPattern],
  ["causal", causal],
  ["a window", near(20)],
  ["a window with sinks", windowWithSinks({ sinks: 3, before: 20 })],
  ["every 7th token, in an order of its own", residues(7)],
  ["a union of two orders", strided],
  ["different heads", perHead([near(3), residues(5), near(30)])],
  ["heads side by side", perHead([0, 1, 2].map(scattered))],
  ["blind queries", blind],
  ["a window without itself", except(near(3), near(0))],
];

/** What a softmax may have beside its keys. */
type Controls = { readonly cap?: number; readonly sink?: Tensor };

/** A logit for each head that follows from the queries, so that its gradient is a part of theirs. */
const controlsOf = (q: Tensor): Controls => ({ cap: 0.4, sink: sum(q, { axes: [0, 2, 3] }) });

/** The definition: every pair, masked; queries that see nothing give 0. */
function dense(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  pattern: Pattern,
  keyMask?: NDArray,
  bias?: Tensor,
  { cap, sink }: Controls = {},
): Tensor {
  const [, heads, length] = q.shape as [number, number, number];
  const shown = cast(constant(denseMask(pattern, length, k.shape[2]!)), "float32");
  const perHead = reshape(shown, [1, ...shown.shape]);
  const all =
    perHead.shape[1] === 1 || perHead.shape[1] === heads
      ? perHead
      : concat(new Array<Tensor>(heads / perHead.shape[1]!).fill(perHead), 1);
  const visible =
    keyMask === undefined ? all : mul(all, reshape(cast(constant(keyMask), "float32"), [keyMask.shape[0]!, 1, 1, -1]));
  const product = matmul(q, k, { transposeB: true, scale: 0.5 });
  const logits = cap === undefined ? product : mul(tanh(mul(product, 1 / cap)), cap);
  const biased = bias === undefined ? logits : add(logits, bias);
  const shownOnly = where(cast(visible, "bool"), biased, -1e30);
  const sinks = sink && broadcastTo(reshape(sink, [1, heads, 1, 1]), [q.shape[0]!, heads, length, 1]);
  const weights = softmax(sinks === undefined ? shownOnly : concat([shownOnly, sinks], -1));
  const ofKeys = sinks === undefined ? weights : slice(weights, -1, 0, -1);
  return matmul(mul(ofKeys, max(visible, { axes: -1, keepDims: true })), v);
}

type Both = (q: Tensor, k: Tensor, v: Tensor) => Tensor;

async function agree(fast: Both, slow: Both, shape: readonly number[], keys = shape): Promise<void> {
  const [q, k, v, r] = [shape, keys, keys, shape].map((shape, i) =>
    fromNumbers(
      noise(
        shape.reduce((a, b) => a * b),
        i + 1,
      ),
      shape,
    ),
  ) as [NDArray, NDArray, NDArray, NDArray];
  const run = (fn: Both) => (q: Tensor, k: Tensor, v: Tensor, r: Tensor) => {
    const { gradient: grads } = valueAndGrad(([q, k, v]: [Tensor, Tensor, Tensor]) => sum(mul(fn(q, k, v), r)))([
      q,
      k,
      v,
    ]);
    return [fn(q, k, v), ...grads];
  };
  const [found, expected] = await Promise.all(
    [fast, slow].map(async (fn) => readTree(await compile(run(fn), { device })(q, k, v, r))),
  );
  found!.forEach((array, i) => {
    const other = expected![i]!.toNumbers();
    const worst = Math.max(...array.toNumbers().map((x, j) => Math.abs(x - other[j]!)));
    expect(worst, ["output", "of queries", "of keys", "of values"][i]).toBeLessThan(3e-5);
  });
}

/** Numbers that look random, in −1 … 1. */
function noise(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233 + ((i * i) % 97)));
}

const context = {};
const lookAt = (pattern: Pattern, length: number, options: Partial<Parameters<typeof makeView>[0]> = {}): View =>
  makeView({ pattern, queries: length, keys: length, ...options });

describe.each(patterns)("%s", (_, pattern) => {
  test.each([1, 63, 64, 100])("equals the dense definition at length %i, gradients included", async (length) => {
    await agree(
      (q, key, value) =>
        attend(q, { key, value }, { view: lookAt(pattern, length, { queriesPerBlock: 32 }), scale: 0.5, context })
          .mixed,
      (q, k, v) => dense(q, k, v, pattern),
      [2, 3, length, 4],
    );
  });

  test.each([undefined, 0])(
    "with a cap, a bias and a sink, too, when weights of %s pairs are kept",
    async (keptPairs) => {
      const bias = alibi(3);
      const scores: View["scores"] = (positions) => bias.prepare({}, positions);
      const slopes = fromNumbers(alibiSlopes(3), [3, 1, 1]);
      await agree(
        (q, key, value) => {
          const view = lookAt(pattern, 100, { queriesPerBlock: 32, scores, ...(keptPairs === 0 && { keptPairs }) });
          return attend(q, { key, value }, { view, scale: 0.5, context, ...controlsOf(q) }).mixed;
        },
        (q, k, v) => {
          const distance = abs(sub(expandDims(iota(100, 0, "float32"), 0), expandDims(iota(100, 0, "float32"), 1)));
          return dense(q, k, v, pattern, undefined, mul(neg(distance), constant(slopes)), controlsOf(q));
        },
        [2, 3, 100, 4],
      );
    },
  );

  test("padding is never seen", async () => {
    const keyMask = fromNumbers(
      [...new Array(50).fill(1), ...new Array(70).fill(0).map((_, i) => i % 2)],
      [2, 60],
      "int32",
    );
    await agree(
      (q, key, value) =>
        attend(q, { key, value }, { view: lookAt(pattern, 60, { keyMask: constant(keyMask) }), scale: 0.5, context })
          .mixed,
      (q, k, v) => dense(q, k, v, pattern, keyMask),
      [2, 3, 60, 4],
    );
  });

  test.each([
    ["", () => ({})],
    [" beside a sink", controlsOf],
  ])("maps say what was weighed%s", async (_, controls) => {
    const length = 200;
    const weigh = (q: Tensor, key: Tensor, value: Tensor) => {
      const options = { view: lookAt(pattern, length), scale: 0.5, context, ...controls(q) };
      const { mixed, map } = attend(q, { key, value }, options);
      const { weights, keys } = map();
      return { mixed, weights, ...(keys === undefined ? {} : { keys }) };
    };
    const [q, k, v] = [1, 2, 3].map((seed) => fromNumbers(noise(3 * length * 4, seed), [1, 3, length, 4])) as [
      NDArray,
      NDArray,
      NDArray,
    ];
    const out = await readTree(await compile(weigh, { device })(q, k, v));
    const width = out.weights.shape[3]!;
    const [weights, mixed, values] = [out.weights.toNumbers(), out.mixed.toNumbers(), v.toNumbers()];
    const indices = out.keys?.toNumbers();
    const headsOfKeys = out.keys?.shape[1] ?? 1;
    for (let head = 0; head < 3; head++) {
      for (const t of [0, 1, 77, 199]) {
        const row = (head * length + t) * width;
        let sum = 0;
        for (let w = 0; w < width; w++) {
          const at = ((headsOfKeys === 1 ? 0 : head) * length + t) * width + w;
          sum += weights[row + w]! * values[(head * length + (indices?.[at] ?? w)) * 4 + 2]!;
        }
        expect(Math.abs(sum - mixed[(head * length + t) * 4 + 2]!)).toBeLessThan(1e-5);
      }
    }
  });
});

test("weights that are not kept give the same, gradients included", async () => {
  const length = 1200;
  const pattern = union(near(30), residues(100), { name: "first", keys: (query) => [0, Math.min(query + 1, 3)] });
  const bias = alibi(2);
  for (const [each, scores] of [
    [causal, undefined],
    [pattern, undefined],
    [causal, bias],
  ] as const) {
    const positions = (view: View) => scores?.prepare({}, { query: view.positions.query, key: view.positions.key });
    await agree(
      (q, key, value) => {
        const view = lookAt(each, length, {
          queriesPerBlock: 300,
          ...(scores === undefined ? {} : { scores: (at) => scores.prepare({}, at) }),
        });
        return attend(q, { key, value }, { view, scale: 0.5, context }).mixed;
      },
      (q, k, v) => {
        const view = lookAt(each, length);
        const none = { query: q, key: k, scale: 1 };
        const zero = mul(matmul(q, k, { transposeB: true }), 0);
        return dense(q, k, v, each, undefined, positions(view)?.logits(zero, none));
      },
      [1, 2, length, 4],
    );
  }
  expect(computedPairs(causal, { queries: length, keys: length })).toBeLessThan(length * length);
});

test("queries with many keys take them in parts", async () => {
  const length = 2500;
  expect(plansOf(causal, { queries: length, keys: length, queriesPerBlock: 1250 })[0]!.blocks.length).toBe(3);
  for (const pattern of [causal, union(residues(3), near(1500))]) {
    await agree(
      (q, key, value) =>
        attend(q, { key, value }, { view: lookAt(pattern, length, { queriesPerBlock: 1250 }), scale: 0.5, context })
          .mixed,
      (q, k, v) => dense(q, k, v, pattern),
      [1, 1, length, 4],
    );
  }
});

test("dropout of what is computed again drops the same", async () => {
  const length = 1100;
  const key = fromNumbers([3, 4], [2], "int32");
  const run = (q: Tensor, k: Tensor, v: Tensor) => {
    const loss = ([q, k, v]: [Tensor, Tensor, Tensor]) =>
      sum(
        attend(
          q,
          { key: k, value: v },
          { view: lookAt(fullPattern, length), scale: 0.5, dropoutRate: 0.5, context: { key: constant(key) } },
        ).mixed,
      );
    const {
      value,
      gradient: [, , dv],
    } = valueAndGrad(loss)([q, k, v]);
    // The loss is linear in the values: it is their product with its own gradient.
    return [value, sum(mul(v, dv))];
  };
  const arrays = [1, 2, 3].map((seed) => fromNumbers(noise(length * 4, seed), [1, 1, length, 4])) as [
    NDArray,
    NDArray,
    NDArray,
  ];
  const [value, product] = (await readTree(await compile(run, { device })(...arrays))).map((x) => x.toNumbers()[0]!);
  expect(product).toBeCloseTo(value!, 2);
});

test("queries may be fewer than keys, and heads may share keys", async () => {
  await agree(
    (q, key, value) =>
      attend(
        q,
        { key, value },
        { view: makeView({ pattern: fullPattern, queries: 10, keys: 70 }), scale: 0.5, context },
      ).mixed,
    (q, k, v) => dense(q, k, v, fullPattern),
    [1, 2, 10, 4],
    [1, 2, 70, 4],
  );
  const twice = (x: Tensor) =>
    reshape(concat([reshape(x, [1, 2, 1, -1]), reshape(x, [1, 2, 1, -1])], 2), [1, 4, 50, 4]);
  await agree(
    (q, key, value) =>
      attend(q, { key, value }, { view: lookAt(perHead([causal, near(4)]), 50), scale: 0.5, context }).mixed,
    (q, k, v) => dense(q, twice(k), twice(v), perHead([causal, near(4)])),
    [1, 4, 50, 4],
    [1, 2, 50, 4],
  );
});

test("a plan is made once, and computes little beside what is visible", () => {
  const sizes = { queries: 4096, keys: 4096 };
  const window = near(255);
  expect(plansOf(window, sizes)).toBe(plansOf(window, sizes));
  expect(computedPairs(window, sizes)).toBeLessThan(2.2 * 256 * 4096);
  expect(computedPairs(residues(64), sizes)).toBeLessThan(4 * 64 * 4096);
});

test.each([{}, { queriesPerBlock: 8 }, { queriesPerBlock: 8, keptPairs: 1 }])(
  "a mask of each row of the batch, with queries that see nothing, in blocks of %j",
  async (more) => {
    const [B, H, T, S, D] = [2, 3, 37, 41, 4];
    const cells = Array.from({ length: B * T * S }, (_, i) =>
      Math.floor(i / S) % 9 !== 4 && (i * i * 7 + i) % 5 > 1 ? 1 : 0,
    );
    const seen = fromNumbers(cells, [B, 1, T, S], "int32");
    const fast: Both = (q, key, value) => {
      const visible = cast(constant(seen), "bool");
      const view = makeView({ pattern: fullPattern, queries: T, keys: S, visible, ...more });
      return attend(q, { key, value }, { view, scale: 0.5, context: {} }).mixed;
    };
    const slow: Both = (q, key, value) => {
      const shown = cast(constant(seen), "float32");
      const weights = softmax(where(cast(shown, "bool"), matmul(q, key, { transposeB: true, scale: 0.5 }), -1e30));
      return matmul(mul(weights, max(shown, { axes: -1, keepDims: true })), value);
    };
    await agree(fast, slow, [B, H, T, D], [B, H, S, D]);
  },
);
