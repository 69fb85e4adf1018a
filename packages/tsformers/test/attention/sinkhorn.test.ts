import {
  compile,
  constant,
  evaluate,
  fill,
  fromNumbers,
  keyToArray,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  slice,
  square,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal as causalPattern } from "../../src/attention/patterns/pattern.ts";
import { type SinkhornOptions, sinkhorn } from "../../src/attention/sinkhorn/sinkhorn.ts";
import {
  blockMask,
  blockSummaries,
  sortedAttention,
  visibleBlocks,
} from "../../src/attention/sinkhorn/sinkhorn-attention.ts";
import {
  balance,
  type ColumnSums,
  gumbelNoise,
  gumbelOf,
  overAllRows,
  overRowsSoFar,
} from "../../src/attention/sinkhorn/sinkhorn-balance.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { present } from "../../src/schema/present.ts";

const device = await openCpu();

const logSum = (x: readonly number[]): number => {
  const top = Math.max(...x);
  return x.length === 0 ? 0 : top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0));
};

type Sees = (row: number, column: number) => boolean;
const all: Sees = () => true;
const past: Sees = (row, column) => column < row;

/** Balancing by the definition, one entry after the other. */
function balanced(logits: number[][], iterations: number, sees: Sees, rowsSoFar: boolean): number[][] {
  let x = logits;
  const n = x.length;
  const range = Array.from({ length: n }, (_, i) => i);
  for (let r = 0; r < iterations; r++) {
    const rows = x.map((row, i) => logSum(row.filter((_, j) => sees(i, j))));
    x = x.map((row, i) => row.map((v) => v - rows[i]!));
    const columns = range.map((i) =>
      range.map((j) => logSum(range.filter((o) => sees(o, j) && (!rowsSoFar || o <= i)).map((o) => x[o]![j]!))),
    );
    x = x.map((row, i) => row.map((v, j) => v - columns[i]![j]!));
  }
  return x.map((row, i) => row.map((v, j) => (sees(i, j) ? Math.exp(v) : 0)));
}

const grid = (array: NDArray): number[][] => {
  const n = array.shape.at(-1)!;
  const flat = array.toNumbers();
  return Array.from({ length: n }, (_, i) => flat.slice(i * n, (i + 1) * n));
};

const strictly = (n: number): Tensor => visibleBlocks(n, true, false)!;

const ways: [string, ColumnSums, Sees, boolean][] = [
  ["all rows", overAllRows, all, false],
  ["rows so far", overRowsSoFar, all, true],
  ["all rows, causal", overAllRows, past, false],
  ["rows so far, causal", overRowsSoFar, past, true],
];

test.each(ways)("balancing over %s", async (_, columns, sees, rowsSoFar) => {
  for (const [n, deviation] of [
    [1, 1],
    [5, 1],
    [9, 60],
  ] as const) {
    const logits = normal(randomKey(n), [1, 1, n, n], { deviation });
    const run = (x: Tensor) =>
      balance(x, {
        iterations: 6,
        temperature: 0.5,
        columns,
        ...present({ visible: sees === past ? strictly(n) : undefined }),
      });
    const found = grid(await evaluate(run, device, logits)).flat();
    const expected = balanced(
      grid(logits).map((row) => row.map((v) => v / 0.5)),
      6,
      sees,
      rowsSoFar,
    ).flat();
    found.forEach((value, i) => void expect(value, `${n}: ${i}`).toBeCloseTo(expected[i]!, 4));
  }
});

test.each(ways)(
  "the gradient of balancing over %s, where entries are equal too",
  async (_, columns, sees, rowsSoFar) => {
    const n = 4;
    const weights = normal(randomKey(1), [1, 1, n, n]);
    const w = weights.toNumbers();
    for (const deviation of [0, 1]) {
      const logits = normal(randomKey(2), [1, 1, n, n], { deviation });
      const visible = () => present({ visible: sees === past ? strictly(n) : undefined });
      const loss = (x: Tensor, weights: Tensor) =>
        sum(mul(balance(x, { iterations: 3, temperature: 1, columns, ...visible() }), weights));
      const { gradient } = await readTree(await compile(valueAndGrad(loss), { device })(logits, weights));
      const plain = (x: number[]) =>
        balanced(grid(fromNumbers(x, [n, n], "float64")), 3, sees, rowsSoFar)
          .flat()
          .reduce((sum, s, i) => sum + s * w[i]!, 0);
      const at = logits.toNumbers();
      (gradient as unknown as NDArray).toNumbers().forEach((slope, i) => {
        const moved = (by: number) => plain(at.map((v, j) => (i === j ? v + by : v)));
        expect(slope, `${deviation}: ${i}`).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 4);
      });
    }
  },
);

test("many iterations give rows and columns of sum 1", async () => {
  const run = (x: Tensor) => balance(x, { iterations: 100, temperature: 0.75 });
  const found = grid(await evaluate(run, device, normal(randomKey(3), [1, 1, 8, 8])));
  for (let i = 0; i < 8; i++) {
    expect(found[i]!.reduce((a, b) => a + b)).toBeCloseTo(1, 4);
    expect(found.reduce((sum, row) => sum + row[i]!, 0)).toBeCloseTo(1, 4);
  }
});

test("whole columns let later rows change earlier ones, columns so far do not", async () => {
  const x = normal(randomKey(4), [1, 1, 6, 6]);
  const slopes = async (columns: ColumnSums) => {
    const loss = (x: Tensor) =>
      sum(square(slice(balance(x, { iterations: 4, temperature: 1, columns, visible: strictly(6) }), 2, 0, 4)));
    const { gradient } = await readTree(await compile(valueAndGrad(loss), { device })(x));
    return grid(gradient as unknown as NDArray)
      .slice(4)
      .flat();
  };
  expect(Math.max(...(await slopes(overAllRows)).map(Math.abs))).toBeGreaterThan(1e-3);
  expect(await slopes(overRowsSoFar)).toEqual(new Array(12).fill(0));
});

test("Gumbel noise has its mean and deviation, and no infinities", async () => {
  const noise = await evaluate((key: Tensor) => gumbelNoise(key, [100_000]), device, keyToArray(randomKey(1)));
  const values = noise.toNumbers();
  const mean = values.reduce((a, b) => a + b) / values.length;
  const spread = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  expect(values.every(Number.isFinite)).toBe(true);
  expect(mean).toBeCloseTo(0.5772, 1);
  expect(spread).toBeCloseTo(Math.PI ** 2 / 6, 1);
});

const [T, D, W] = [7, 4, 3];
const N = Math.ceil(T / W);

/** Sorted attention of one head by the definition. */
function attended(
  [q, k, v]: readonly number[][][],
  sort: number[][],
  options: { causal: boolean; local: boolean; cut?: number; real: (t: number) => boolean; visible: Sees },
): number[][] {
  const { causal, local, cut, real, visible } = options;
  const isReal = (t: number) => t < T && real(t);
  const mix = (x: number[][], i: number, p: number) =>
    Array.from({ length: D }, (_, d) =>
      sort[i]!.reduce((sum, s, j) => sum + (isReal(j * W + p) ? s * x[j * W + p]![d]! : 0), 0),
    );
  return q!.map((query, t) => {
    const [own, inside] = [Math.floor(t / W), Array.from({ length: W }, (_, p) => p)];
    const rows = cut === undefined ? [own] : Array.from({ length: cut }, (_, i) => i);
    const sorted = rows.flatMap((i) =>
      inside
        .filter((p) => sort[i]!.some((_, j) => visible(i, j) && isReal(j * W + p)))
        .map((p) => ({ key: mix(k!, i, p), value: mix(v!, i, p) })),
    );
    const near = inside
      .map((p) => own * W + p)
      .filter((s) => local && isReal(s) && (!causal || s <= t))
      .map((s) => ({ key: k![s]!, value: v![s]! }));
    const seen = [...sorted, ...near];
    const logits = seen.map(({ key }) => 0.6 * key.reduce((sum, x, d) => sum + x * query[d]!, 0));
    const total = logSum(logits);
    return Array.from({ length: D }, (_, d) =>
      seen.reduce((sum, { value }, i) => sum + Math.exp(logits[i]! - total) * value[d]!, 0),
    );
  });
}

test.each([
  ["bidirectional", { causal: false, local: true }, undefined],
  ["bidirectional, padded", { causal: false, local: true }, [1, 0, 1, 0, 0, 0, 1]],
  ["causal", { causal: true, local: true }, undefined],
  ["causal, padded", { causal: true, local: true }, [0, 0, 1, 1, 0, 1, 1]],
  ["causal, sorted blocks alone", { causal: true, local: false }, undefined],
  ["SortCut", { causal: false, local: false, cut: 2 }, undefined],
  ["SortCut and own block, padded", { causal: false, local: true, cut: 2 }, [1, 1, 1, 1, 0, 1, 0]],
] as const)("sorted attention, %s", async (_, options, mask) => {
  const [q, k, v] = [1, 2, 3].map((seed) => normal(randomKey(seed), [1, 1, T, D])) as [NDArray, NDArray, NDArray];
  const logits = normal(randomKey(4), [1, 1, N, N]);
  const real = (t: number) => mask?.[t] !== 0;
  const some = (i: number) => [0, 1, 2].some((p) => i * W + p < T && real(i * W + p));
  const visible: Sees = (i, j) => some(j) && (options.causal ? j < i : some(i));
  const run = (q: Tensor, k: Tensor, v: Tensor, logits: Tensor) => {
    const keyMask = mask && constant(ndarray(Int32Array.from(mask), [1, T]));
    const known = blockMask(T, W, keyMask);
    const shown = visibleBlocks(N, options.causal, !options.causal, known);
    const columns = options.causal ? overRowsSoFar : overAllRows;
    const sort = balance(logits, { iterations: 3, temperature: 1, columns, ...present({ visible: shown }) });
    const about = { ...options, block: W, scale: 0.6, context: evaluation };
    return sortedAttention(q, k, v, sort, { ...about, ...present({ visible: shown, mask: known }) }).mixed;
  };
  const found = (await evaluate(run, device, q, k, v, logits)).toNumbers();
  const sort = balanced(grid(logits), 3, visible, options.causal);
  const rows = [q, k, v].map((x) => Array.from({ length: T }, (_, t) => x.toNumbers().slice(t * D, (t + 1) * D)));
  attended(rows, sort, { ...options, real, visible }).forEach((row, t) => {
    if (real(t)) for (const [d, x] of row.entries()) expect(found[t * D + d], `at ${t}`).toBeCloseTo(x, 5);
  });
});

test("of padding alone nothing is seen", async () => {
  const x = normal(randomKey(1), [1, 1, T, D]);
  const run = (x: Tensor) => {
    const mask = blockMask(T, W, constant(ndarray(new Int32Array(T), [1, T])))!;
    const visible = visibleBlocks(N, false, true, mask)!;
    const sort = balance(fill([1, 1, N, N], 0), { iterations: 2, temperature: 1, visible });
    const about = { causal: false, local: true, block: W, scale: 1, context: evaluation };
    const { mixed, map } = sortedAttention(x, x, x, sort, { ...about, visible, mask });
    return { mixed, weights: map().weights };
  };
  const { mixed, weights } = await evaluate(run, device, x);
  expect([...mixed.toNumbers(), ...weights.toNumbers()].every((value) => value === 0)).toBe(true);
});

test("where blocks are only moved, the map shows each key where it came from", async () => {
  const [q, k, v] = [1, 2, 3].map((seed) => normal(randomKey(seed), [1, 1, 9, D])) as [NDArray, NDArray, NDArray];
  const moves = ndarray([
    [
      [
        [0, 0, 1],
        [1, 0, 0],
        [0, 1, 0],
      ],
    ],
  ]);
  const run = (q: Tensor, k: Tensor, v: Tensor, sort: Tensor) => {
    const about = { causal: false, local: true, block: W, scale: 1, context: evaluation };
    const { mixed, map } = sortedAttention(q, k, v, sort, about);
    const { weights, keys } = map();
    return { mixed, weights, keys: keys! };
  };
  const { mixed, weights, keys } = await evaluate(run, device, q, k, v, moves);
  expect(weights.shape).toEqual([1, 1, 9, 2 * W]);
  expect(keys.toNumbers().slice(0, 2 * W)).toEqual([6, 7, 8, 0, 1, 2]);
  const [w, at, from] = [weights, keys, v].map((x) => x.toNumbers()) as [number[], number[], number[]];
  mixed.toNumbers().forEach((value, i) => {
    const [t, d] = [Math.floor(i / D), i % D];
    let sum = 0;
    for (let s = 0; s < 2 * W; s++) sum += w[t * 2 * W + s]! * from[at[t * 2 * W + s]! * D + d]!;
    expect(value).toBeCloseTo(sum, 5);
  });
});

test("blocks are summed up, causal ones up to their first position, without padding", async () => {
  const x = ndarray([[[1], [2], [4], [8], [16], [32], [64]]]);
  const mask = ndarray([[1, 1, 0, 1, 1, 1, 1]], undefined, "int32");
  const run = (x: Tensor, keyMask: Tensor) =>
    [false, true].flatMap((causal) => [
      blockSummaries(x, W, causal, blockMask(T, W)),
      blockSummaries(x, W, causal, blockMask(T, W, keyMask)),
    ]);
  const found = (await evaluate(run, device, x, mask)).map((sums) => sums.toNumbers());
  expect(found).toEqual([
    [7, 56, 64],
    [3, 56, 64],
    [1, 15, 127],
    [1, 11, 123],
  ]);
});

const sizes = { modelWidth: 12, heads: 3, causal: true, block: 4, length: 24 };

async function run(options: Partial<SinkhornOptions>, x: NDArray, key?: number): Promise<number[]> {
  const mixer = sinkhorn({ ...sizes, initial: (key, shape) => normal(key, shape, { deviation: 0.4 }), ...options });
  const length = x.shape[1]!;
  const pass = (params: never, x: Tensor, key: Tensor | undefined) => {
    const view = makeView({ pattern: causalPattern, queries: length, keys: length });
    return mixer.apply(params, { x, view }, key === undefined ? evaluation : { key }).y;
  };
  const given = key === undefined ? undefined : keyToArray(randomKey(key));
  return (await evaluate(pass, device, mixer.init(randomKey(5)) as never, x, given as never)).toNumbers();
}

const furthest = (a: number[], b: number[]) => Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));

test("noise is of training, and can be left out", async () => {
  const x = normal(randomKey(1), [1, 20, 12]);
  const still = await run({}, x);
  expect(furthest(still, await run({}, x))).toBe(0);
  expect(furthest(still, await run({}, x, 1))).toBeGreaterThan(1e-3);
  expect(furthest(await run({}, x, 1), await run({}, x, 2))).toBeGreaterThan(1e-3);
  expect(furthest(still, await run({ noise: 0 }, x, 1))).toBe(0);
});

test("with whole columns a causal mixer depends on what comes, and does not decode", async () => {
  const x = normal(randomKey(1), [1, 24, 12]);
  const later = fromNumbers(
    x.toNumbers().map((v, i) => (i < 16 * 12 ? v : -2 * v)),
    x.shape,
  );
  const change = async (options: Partial<SinkhornOptions>) => {
    const [a, b] = [await run(options, x), await run(options, later)];
    return furthest(a.slice(0, 16 * 12), b.slice(0, 16 * 12));
  };
  expect(await change({ columns: overAllRows })).toBeGreaterThan(1e-4);
  expect(await change({})).toBeLessThan(1e-6);
  expect(sinkhorn({ ...sizes, columns: overAllRows }).recurrent).toBeUndefined();
  expect(sinkhorn(sizes).recurrent).toBeDefined();
});

test.each([
  [{ heads: 5 }, "modelWidth must be a multiple of heads"],
  [{ block: 0 }, "a positive number of positions"],
  [{ cut: 2 }, "SortCut"],
])("%o is refused", (options, words) => {
  expect(() => sinkhorn({ ...sizes, ...options })).toThrow(words);
});

test("a sequence longer than said is refused, and a capacity", async () => {
  await expect(run({}, normal(randomKey(1), [1, 25, 12]))).rejects.toThrow("at most 6 blocks of 4 positions, got 25");
  expect(() => sinkhorn(sizes).recurrent!.start(1, 25)).toThrow("at most 6 blocks");
});

test("Gumbel noise is finite for the smallest and the largest number that is drawn", async () => {
  const u = [0, 2 ** -24, 0.5, 1 - 2 ** -24];
  const noise = (await evaluate((x: Tensor) => gumbelOf(x), device, fromNumbers(u, [u.length]))).toNumbers();
  const exact = [2 ** -25, ...u.slice(1)].map((x) => -Math.log(-Math.log(x)));
  noise.forEach((value, i) => {
    expect(value).toBeCloseTo(exact[i]!, 4);
  });
});
