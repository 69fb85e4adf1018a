import {
  add,
  type Concrete,
  concat,
  type Device,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mean,
  mul,
  type NDArray,
  normal,
  randomKey,
  sin,
  splitKey,
  square,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { emptyCacheOf } from "../../src/blocks/block.ts";
import type { StackParams } from "../../src/depth/layers.ts";
import {
  joinedStreams,
  meanOfStreams,
  type ReversibleBlock,
  reversible,
  reversibleBlock,
  type StreamMerge,
  sumOfStreams,
} from "../../src/depth/reversible.ts";
import { blockStack } from "../../src/depth/stack.ts";
import type { Depth, KeyValueCache, Mixer, View } from "../../src/kinds/index.ts";
import type { Context } from "../../src/kinds/layer.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const [batch, length, width] = [2, 7, 8];
const ffn = mlp({ modelWidth: width, ffnWidth: 16, activation: geluTanh, dropoutRate: 0.3 });
const softmax = attention({ modelWidth: width, heads: 2, dropoutRate: 0.3 });
const block = reversibleBlock({ modelWidth: width, norm: layerNorm(), mixer: softmax, ffn });
const x = normal(randomKey(1), [batch, length, width]);
const weights = normal(randomKey(2), [batch, length, 2 * width]);
const key = keyToArray(randomKey(3));
const mask = fromNumbers([1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1], [batch, length]);
const bias = normal(randomKey(4), [length, length]);

/** Parameters as after some training: those of a fresh block hardly change the streams. */
function paramsOf<P>(one: ReversibleBlock<P>, layers: number): { blocks: Concrete<P>[] } {
  const blocks = splitKey(randomKey(5), layers).map((key) => one.init(key));
  const grown = (array: NDArray) =>
    fromNumbers(
      array.toNumbers().map((w) => w * 4),
      array.shape,
    );
  return { blocks: blocks.map((tree) => mapArrays(tree, grown)) };
}

function mapArrays<T>(tree: T, fn: (array: NDArray) => NDArray): T {
  if (isNdArray(tree)) return fn(tree) as T;
  return Object.fromEntries(Object.entries(tree as object).map(([name, child]) => [name, mapArrays(child, fn)])) as T;
}

type Tree = StackParams;

/** A view whose scores have a parameter: it reaches the mixers without being handed in as one. */
const viewOf = (bias: Tensor, keyMask: Tensor) =>
  makeView({
    pattern: causal,
    queries: length,
    keys: length,
    keyMask,
    scores: () => ({ logits: (l) => add(l, bias) }),
  });

/** Every layer sees the same. */
const always = (view: View) => () => view;

type Way = (
  blocks: readonly ReversibleBlock[],
  params: Tree,
  x: Tensor,
  bias: Tensor,
  mask: Tensor,
  c: Context,
) => Tensor;

const forgetful: Way = (blocks, params, x, bias, mask, context) =>
  reversible(blocks).apply(params, { x, view: always(viewOf(bias, mask)), state: {} }, context).x;
const plain: Way = (blocks, params, x, bias, mask, context) =>
  blockStack(blocks).apply(params, { x: concat([x, x], -1), view: always(viewOf(bias, mask)), state: {} }, context).x;

/** The output, and the gradients of a weighted sum of its sines. */
const both =
  (way: Way, blocks: readonly ReversibleBlock[], drop: boolean) =>
  (params: Tree, x: Tensor, bias: Tensor, mask: Tensor, weights: Tensor, key: Tensor) => {
    const context = drop ? { key } : {};
    return {
      out: way(blocks, params, x, bias, mask, context),
      slopes: grad((of: { params: Tree; x: Tensor; bias: Tensor }) =>
        sum(mul(sin(way(blocks, of.params, of.x, of.bias, mask, context)), weights)),
      )({ params, x, bias }),
    };
  };

async function numbers(fn: never, ...args: unknown[]): Promise<number[]> {
  const out = await (evaluate as unknown as (...all: unknown[]) => Promise<unknown>)(fn, device, ...args);
  return flatten(out, isNdArray).leaves.flatMap((array) => array.toNumbers());
}

function expectClose(actual: readonly number[], expected: readonly number[], within: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)));
  expect(worst / scale).toBeLessThan(within);
}

describe.each([
  [1, false],
  [3, false],
  [3, true],
  [12, false],
])("%i layers, dropout %s", (layers, drop) => {
  test("output and gradients are those of the blocks one by one", async () => {
    const blocks = Array.from({ length: layers }, () => block as ReversibleBlock);
    const given = [paramsOf(block, layers), x, bias, mask, weights, key];
    const ours = await numbers(both(forgetful, blocks, drop) as never, ...given);
    const theirs = await numbers(both(plain, blocks, drop) as never, ...given);
    expectClose(ours, theirs, 1e-5);
    expect(theirs.some((value) => Math.abs(value) > 1)).toBe(true);
  });
});

test("another key drops other elements", async () => {
  const run = (key: NDArray) =>
    numbers(
      both(forgetful, [block as ReversibleBlock], true) as never,
      paramsOf(block, 1),
      x,
      bias,
      mask,
      weights,
      key,
    );
  expect(await run(key)).toEqual(await run(key));
  expect(await run(key)).not.toEqual(await run(keyToArray(randomKey(4))));
});

test("blocks of any mixer: its losses and its training state come out, with the gradient of the loss", async () => {
  /** The mean over time; its training state is the mean of all it saw. */
  const pooling: Mixer<{ gain: Tensor }> = {
    name: "pooling",
    sees: "all",
    init: () => ({ gain: fromNumbers([0.7], []) }),
    initTrainingState: () => ({ seen: fromNumbers([0], []) }),
    apply: ({ gain }, { x, state }) => ({
      y: mul(mean(x, { axes: 1, keepDims: true }), mul(gain, x)),
      losses: { energy: mean(square(mul(x, gain))) },
      state: { training: { seen: add((state!.training as { seen: Tensor }).seen, mean(x)) } },
    }),
  };
  const pooled = reversibleBlock({ modelWidth: width, norm: layerNorm(), mixer: pooling, ffn });
  const blocks = [pooled, pooled] as readonly unknown[] as readonly ReversibleBlock[];
  const params = paramsOf(pooled, 2);
  const view = () => makeView({ pattern: causal, queries: length, keys: length });
  const before = { 0: { seen: fromNumbers([1], []) }, 1: { seen: fromNumbers([2], []) } };
  type State = Record<string, { seen: Tensor }>;
  const ours = (params: Tree, x: Tensor, training: State) => {
    const run = (params: Tree) => reversible(blocks).apply(params, { x, view, state: { training } }, {});
    const total = ({ x, losses }: ReturnType<typeof run>) => add(sum(sin(x)), losses.energy!);
    return [run(params).state.training, grad((params: Tree) => total(run(params)))(params)];
  };
  const theirs = (params: Tree, x: Tensor, training: State) => {
    const run = (params: Tree) => {
      let pair = concat([x, x], -1);
      const outs = blocks.map((one, i) => {
        const out = one.apply(params.blocks[i], { x: pair, view: view(), state: { training: training[i]! } }, {});
        pair = out.y;
        return out;
      });
      return { outs, total: add(sum(sin(pair)), add(outs[0]!.losses!.energy!, outs[1]!.losses!.energy!)) };
    };
    const next = Object.fromEntries(run(params).outs.map((out, i) => [i, out.state!.training]));
    return [next, grad((params: Tree) => run(params).total)(params)];
  };
  expectClose(await numbers(ours as never, params, x, before), await numbers(theirs as never, params, x, before), 1e-5);
});

test("maps are those of the blocks one by one", async () => {
  const blocks = [block, block] as readonly unknown[] as readonly ReversibleBlock[];
  const params = paramsOf(block, 2);
  const look =
    (depth: Depth<Tree>, start: (x: Tensor) => Tensor) => (params: Tree, x: Tensor, bias: Tensor, mask: Tensor) => {
      const out = depth.apply(params, { x: start(x), view: always(viewOf(bias, mask)), state: {} }, {});
      expect(out.maps).toHaveLength(2);
      return out.maps.map((map) => map().weights);
    };
  const ours = await numbers(look(reversible(blocks), (x) => x) as never, params, x, bias, mask);
  const pair = (x: Tensor) => concat([x, x], -1);
  expect(ours).toEqual(await numbers(look(blockStack(blocks), pair) as never, params, x, bias, mask));
});

test("streams are joined, averaged or added", async () => {
  const params = paramsOf(block, 1);
  const merged = (merge: StreamMerge) => (params: Tree, x: Tensor, bias: Tensor, mask: Tensor) =>
    reversible([block as ReversibleBlock], { merge }).apply(
      params,
      { x, view: always(viewOf(bias, mask)), state: {} },
      {},
    ).x;
  const joined = await numbers(merged(joinedStreams) as never, params, x, bias, mask);
  const rows = Array.from({ length: batch * length }, (_, row) => joined.slice(row * 2 * width, (row + 1) * 2 * width));
  const sums = rows.flatMap((row) => row.slice(0, width).map((value, c) => value + row[width + c]!));
  expectClose(await numbers(merged(sumOfStreams) as never, params, x, bias, mask), sums, 1e-6);
  const means = sums.map((value) => value / 2);
  expectClose(await numbers(merged(meanOfStreams) as never, params, x, bias, mask), means, 1e-6);
});

test("position by position with a cache gives the whole sequence's output", async () => {
  const blocks = [block, block] as readonly unknown[] as readonly ReversibleBlock[];
  const params = paramsOf(block, 2);
  const finalNorm = layerNorm()(2 * width);
  const tree = { ...params, finalNorm: finalNorm.init(randomKey(0)) };
  const depth = reversible(blocks, { finalNorm });
  const whole = (params: Tree, x: Tensor) => {
    const view = makeView({ pattern: causal, queries: length, keys: length });
    return depth.apply(params, { x, view: always(view), state: {} }, {}).x;
  };
  const expected = await evaluate(whole as never, device, tree as never, x as never);
  let cache = blocks.map((one) => emptyCacheOf(one, batch, length));
  const outs: number[][] = [];
  for (let at = 0; at < length; at++) {
    const step = (params: Tree, x: Tensor, decode: KeyValueCache[], position: Tensor) => {
      const view = makeView({ pattern: causal, queries: 1, keys: length, offset: position });
      const input = { x, view: always(view), state: { decode }, place: () => ({ position }) };
      const out = depth.apply(params, input, {});
      return { x: out.x, cache: out.state.decode };
    };
    const row = fromNumbers(
      Array.from({ length: batch }, (_, b) =>
        x.toNumbers().slice((b * length + at) * width, (b * length + at + 1) * width),
      ).flat(),
      [batch, 1, width],
    );
    const out = (await evaluate(
      step as never,
      device,
      tree as never,
      row as never,
      cache as never,
      fromNumbers([at], [], "int32") as never,
    )) as unknown as {
      x: NDArray;
      cache: typeof cache;
    };
    cache = out.cache;
    outs.push(out.x.toNumbers());
  }
  const values = (expected as unknown as NDArray).toNumbers();
  const ours = Array.from({ length: batch }, (_, b) =>
    outs.flatMap((row) => row.slice(b * 2 * width, (b + 1) * 2 * width)),
  ).flat();
  expectClose(ours, values, 1e-5);
});
