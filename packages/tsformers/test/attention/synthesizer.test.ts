import {
  add,
  compile,
  concat,
  constant,
  fromNumbers,
  gather,
  matmul,
  mul,
  NDArray,
  normal,
  randomKey,
  readTree,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { splitHeads } from "../../src/attention/softmax/attention.ts";
import { type SynthesizerParams, synthesizer } from "../../src/attention/synthesizer/synthesizer.ts";
import {
  type DenseLogitParams,
  type DotProductParams,
  denseLogits,
  dotProductLogits,
  type FactorisedDenseParams,
  type FactorisedTableParams,
  factorisedDenseLogits,
  factorisedTableLogits,
  headWeighted,
  type LogitSource,
  type Mixture,
  plainSum,
  softmaxWeighted,
  type TableLogitParams,
  tableLogits,
} from "../../src/attention/synthesizer/synthetic-logits.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { LinearParams } from "../../src/nn/linear.ts";
import { expectSame, noisy } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const [modelWidth, heads] = [6, 2];
type Definition = (params: never, x: Tensor) => Tensor;
type Sources = Record<string, { source: LogitSource<unknown>; logits: Definition }>;

/** Every source, with logits [B or 1, H, T, T] by its definition. */
function sourcesFor(longest: number): Sources {
  const size = { modelWidth, heads, length: longest };
  const linear = ({ weight, bias }: LinearParams, x: Tensor) => {
    const product = matmul(x, weight);
    return splitHeads(bias === undefined ? product : add(product, bias), heads);
  };
  const square = (table: Tensor, n: number) => reshape(slice(slice(table, 1, 0, n), 2, 0, n), [1, heads, n, n]);
  const tableOf = (table: Tensor) => (_: unknown, x: Tensor) => square(table, x.shape[1]!);
  const fixed = normal(randomKey(7), [heads, longest, longest]);
  return {
    dense: {
      source: denseLogits({ ...size, hiddenWidth: 5 }),
      logits: ({ hidden, columns, bias }: DenseLogitParams, x) => {
        const all = matmul(relu(linear(hidden, x)), columns, { transposeB: true });
        return slice(add(all, reshape(bias, [1, heads, 1, longest])), 3, 0, x.shape[1]!);
      },
    },
    table: { source: tableLogits(size), logits: ({ table }: TableLogitParams, x) => tableOf(table!)(undefined, x) },
    "fixed table": {
      source: tableLogits({ ...size, seed: 7 }),
      logits: (_: never, x) => tableOf(constant(fixed))(_, x),
    },
    "factorised table": {
      source: factorisedTableLogits({ ...size, rank: 3 }),
      logits: ({ rows, columns }: FactorisedTableParams, x) =>
        square(matmul(rows, columns, { transposeB: true }), x.shape[1]!),
    },
    "factorised dense": {
      source: factorisedDenseLogits(size),
      logits: ({ minor, major }: FactorisedDenseParams, x) => {
        const [a, b] = [linear(minor, x), linear(major, x)];
        const width = a.shape[3]!;
        const columns = Array.from({ length: x.shape[1]! }, (_, j) => j);
        const pick = (y: Tensor, of: readonly number[]) =>
          gather(y, constant(fromNumbers(of, [of.length], "int32")), 3);
        return mul(
          pick(
            a,
            columns.map((j) => j % width),
          ),
          pick(
            b,
            columns.map((j) => Math.floor(j / width)),
          ),
        );
      },
    },
    "dot product": {
      source: dotProductLogits(size),
      logits: ({ query, key }: DotProductParams, x) =>
        matmul(linear(query, x), linear(key, x), { transposeB: true, scale: Math.sqrt(heads / modelWidth) }),
    },
  };
}

const mixtures: Record<
  string,
  { mixture: Mixture<unknown>; factors: (params: never, count: number) => (Tensor | number)[] }
> = {
  sum: { mixture: plainSum, factors: (_, count) => new Array<number>(count).fill(1) },
  "by head": {
    mixture: headWeighted(heads),
    factors: ({ alpha }: { alpha: Tensor }) => {
      const share = reshape(sigmoid(alpha), [1, heads, 1, 1]);
      return [sub(1, share), share];
    },
  },
  softmax: {
    mixture: softmaxWeighted,
    factors: ({ alpha }: { alpha: Tensor }, count) =>
      Array.from({ length: count }, (_, i) => reshape(slice(softmax(alpha), 0, i, i + 1), [1, 1, 1, 1])),
  },
};

type Case = { names: readonly string[]; mixture?: string; longest: number; causal: boolean; mask?: readonly number[] };

function both({ names, mixture = "sum", longest, causal, mask }: Case) {
  const all = sourcesFor(longest);
  const own = names.map((name) => all[name]!);
  const mixer = synthesizer({
    modelWidth,
    heads,
    causal,
    sources: own.map(({ source }) => source),
    mixture: mixtures[mixture]!.mixture,
  });
  const maskFor = (x: Tensor) => {
    const rows = Array.from({ length: x.shape[0]! }, () => mask ?? []).flat();
    return mask === undefined ? {} : { keyMask: constant(fromNumbers(rows, [x.shape[0]!, mask.length], "int32")) };
  };
  const run = (params: SynthesizerParams, x: Tensor) => {
    const view = makeView({ pattern: fullPattern, queries: x.shape[1]!, keys: x.shape[1]!, ...maskFor(x) });
    return mixer.apply(params, { x, view }, evaluation);
  };
  const fast = (params: SynthesizerParams, x: Tensor): Tensor => run(params, x).y;
  /** The definition: all logits at once. */
  const slow = (params: SynthesizerParams, x: Tensor): Tensor => {
    const length = x.shape[1]!;
    const factors = mixtures[mixture]!.factors(params.mixture as never, own.length);
    const parts = own.map(({ logits }, i) => mul(logits(params.sources[i] as never, x), factors[i]!));
    const visible = Array.from({ length: length ** 2 }, (_, i) => {
      const [t, s] = [Math.floor(i / length), i % length];
      return (!causal || s <= t) && (mask?.[s] ?? 1) === 1 ? 1 : 0;
    });
    const shown = constant(fromNumbers(visible, [1, 1, length, length], "bool"));
    const weights = softmax(
      where(
        shown,
        parts.reduce((a, b) => add(a, b)),
        -1e30,
      ),
    );
    const { weight, bias } = params.value;
    const values = splitHeads(add(matmul(x, weight), bias!), heads);
    const mixed = matmul(weights, values);
    const joined = concat(
      Array.from({ length: heads }, (_, h) => reshape(slice(mixed, 1, h, h + 1), [x.shape[0]!, length, -1])),
      2,
    );
    return add(matmul(joined, params.out.weight), params.out.bias!);
  };
  return { mixer, run, fast, slow, params: noisy(mixer.init(randomKey(1))) };
}

const input = (length: number, batch = 2): NDArray => normal(randomKey(length), [batch, length, modelWidth]);

const chosen: [string, Omit<Case, "longest" | "causal">][] = [
  ...Object.keys(sourcesFor(4)).map((name): [string, Omit<Case, "longest" | "causal">] => [name, { names: [name] }]),
  ["dense + table", { names: ["dense", "table"] }],
  ["dot product and table, by head", { names: ["dot product", "table"], mixture: "by head" }],
  [
    "dot product, table, dense and both factorised, by a softmax",
    { names: ["dot product", "table", "dense", "factorised table", "factorised dense"], mixture: "softmax" },
  ],
];

describe.each(chosen)("%s", (_, options) => {
  test.each([true, false])("outputs and gradients are those of all logits at once (causal: %s)", async (causal) => {
    const { fast, slow, params } = both({ ...options, longest: 9, causal });
    for (const length of causal ? [1, 7] : [7]) await expectSame(fast, slow, params, input(length), device);
  });

  test("padding is hidden", async () => {
    const { fast, slow, params } = both({ ...options, longest: 9, causal: false, mask: [1, 1, 0, 1, 1, 0, 0] });
    await expectSame(fast, slow, params, input(7), device);
  });

  test("position by position is the same", async () => {
    const { fast, mixer, params } = both({ ...options, longest: 9, causal: true });
    const x = input(7);
    const whole = compile(fast, { device });
    const all = ((await readTree(await whole(params as never, x as never))) as unknown as NDArray).toNumbers();
    const { recurrent } = mixer;
    const step = compile(
      (params: SynthesizerParams, x: Tensor, state: never, position: Tensor) =>
        recurrent!.step(params, x, state, {
          position,
          view: makeView({ pattern: fullPattern, queries: 1, keys: 8, offset: position }),
        }),
      { device },
    );
    let state: unknown = recurrent!.start(2, 8);
    for (let t = 0; t < 7; t++) {
      const of = (from: readonly number[]) =>
        [0, 1].flatMap((b) => from.slice((b * 7 + t) * modelWidth, (b * 7 + t + 1) * modelWidth));
      const at = new NDArray([], "int32", Int32Array.of(t));
      const row = fromNumbers(of(x.toNumbers()), [2, 1, modelWidth]);
      const found = await step(params as never, row as never, state as never, at as never);
      state = found.state;
      const y = ((await readTree(found.y as never)) as unknown as NDArray).toNumbers();
      for (const [i, expected] of of(all).entries()) expect(y[i]).toBeCloseTo(expected, 5);
    }
  });
});

test.each([
  [["table"], false, 1030, 2],
  [["dot product", "table", "factorised dense"], true, 1450, 1],
])(
  "%s over many blocks of queries, computed again for the gradient",
  async (names, causal, length, batch) => {
    const { fast, slow, params } = both({ names, longest: length, causal });
    // Gradients of parameters are sums of a thousand rows in float32.
    await expectSame(fast, slow, params, input(length, batch), device, 1e-4);
  },
  30_000,
);

test("the map of logits that no input has a part in is that of every sequence", async () => {
  const { run, params } = both({ names: ["table"], longest: 9, causal: true });
  const compiled = compile((params: SynthesizerParams, x: Tensor) => run(params, x).map!(), { device });
  const { weights } = (await readTree(await compiled(params as never, input(7) as never))) as unknown as {
    weights: NDArray;
  };
  expect(weights.shape).toEqual([2, heads, 7, 7]);
  const rows = weights.toNumbers();
  expect(rows.slice(0, rows.length / 2)).toEqual(rows.slice(rows.length / 2));
});

test("what does not fit is refused in words", async () => {
  const { fast, mixer, params } = both({ names: ["dense"], longest: 9, causal: true });
  await expect(expectSame(fast, fast, params, input(10), device)).rejects.toThrow(
    "synthesizer: made for sequences of at most 9, got 10",
  );
  expect(() => mixer.recurrent!.start(1, 10)).toThrow("synthesizer: made for sequences of at most 9, got 10");
  const size = { modelWidth, heads, causal: true };
  expect(() => synthesizer({ ...size, sources: [] })).toThrow(
    "synthesizer: expected at least one source of logits, got 0",
  );
  const context = { ...size, length: 8 };
  expect(() => mixers.synthesizer.make({ logits: ["dense"], mixture: "by head" }, context)).toThrow(
    "expected 2 sources",
  );
});
