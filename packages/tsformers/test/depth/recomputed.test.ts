import {
  add,
  type Device,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mean,
  mul,
  normal,
  randomKey,
  sin,
  splitKey,
  square,
  sum,
  type Tensor,
  toOnnx,
  traceBody,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { type Block, emptyCacheOf, preNormBlock } from "../../src/blocks/block.ts";
import { recomputed } from "../../src/depth/recomputed.ts";
import { blockStack } from "../../src/depth/stack.ts";
import type { KeyValueCache, Mixer } from "../../src/kinds/index.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

const [batch, length, width] = [2, 6, 8];
const norm = layerNorm();
const ffn = mlp({ modelWidth: width, ffnWidth: 16, activation: geluTanh, dropoutRate: 0.2 });
const plain = preNormBlock({
  modelWidth: width,
  norm,
  mixer: attention({ modelWidth: width, heads: 2, dropoutRate: 0.2 }),
  ffn,
});
const params = splitKey(randomKey(1), 3).map((key) => plain.init(key));
const x = normal(randomKey(2), [batch, length, width]);
const bias = normal(randomKey(3), [length, length]);
const key = keyToArray(randomKey(4));
const numbersOf = (tree: unknown) => flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());

/** Output, a map, and the gradients of a loss, also of a parameter that the view carries. */
const run = (block: typeof plain) => (params: unknown[], x: Tensor, bias: Tensor, key: Tensor) => {
  const forward = (of: { params: unknown[]; x: Tensor; bias: Tensor }) => {
    const scores = () => ({ logits: (logits: Tensor) => add(logits, of.bias) });
    const view = makeView({ pattern: causal, queries: length, keys: length, scores });
    const depth = blockStack([block, block, block] as Block[]);
    return depth.apply({ blocks: of.params }, { x: of.x, view: () => view, state: {} }, { key });
  };
  const out = forward({ params, x, bias });
  const slopes = grad((of: { params: unknown[]; x: Tensor; bias: Tensor }) => sum(sin(forward(of).x)))({
    params,
    x,
    bias,
  });
  return { out: out.x, map: out.maps[1]!().weights, slopes };
};

test("output, maps and gradients are those of the block, with dropout", async () => {
  const ours = numbersOf(await evaluate(run(recomputed(plain)), device, params, x, bias, key));
  const theirs = numbersOf(await evaluate(run(plain), device, params, x, bias, key));
  expect(ours.length).toBe(theirs.length);
  // float32, in another order of sums
  for (const [i, value] of ours.entries()) expect(value).toBeCloseTo(theirs[i]!, 5);
});

test("its inside is computed twice", () => {
  const count = (block: typeof plain) => {
    const loss = (params: unknown[], x: Tensor, bias: Tensor, key: Tensor) => run(block)(params, x, bias, key).slopes;
    const { leaves } = flatten([params, x, bias, key], isNdArray);
    const { program } = traceBody(leaves, (given) => {
      const [x, bias, key] = given.slice(-3) as [Tensor, Tensor, Tensor];
      let next = 0;
      const tree = params.map((one) => mapLeaves(one, () => given[next++]!));
      return loss(tree, x, bias, key);
    });
    return toOnnx(program).graph.nodes.filter(({ op }) => op === "Softmax").length;
  };
  expect(count(recomputed(plain))).toBe(2 * count(plain));
});

function mapLeaves(tree: unknown, fn: () => Tensor): unknown {
  if (isNdArray(tree)) return fn();
  return Object.fromEntries(Object.entries(tree as object).map(([name, child]) => [name, mapLeaves(child, fn)]));
}

test("a mixer's losses and its training state come out, with the gradient of the loss", async () => {
  const pooling: Mixer<{ gain: Tensor }> = {
    name: "pooling",
    sees: "all",
    init: () => ({ gain: fromNumbers([0.7], []) }),
    apply: ({ gain }, { x, state }) => ({
      y: mul(mean(x, { axes: 1, keepDims: true }), mul(gain, x)),
      losses: { energy: mean(square(mul(x, gain))) },
      state: { training: { seen: add((state!.training as { seen: Tensor }).seen, mean(x)) } },
    }),
  };
  const pooled = preNormBlock({ modelWidth: width, norm, mixer: pooling, ffn });
  const view = () => makeView({ pattern: causal, queries: length, keys: length });
  type Params = Parameters<typeof pooled.apply>[0];
  let looks = true;
  const both = (block: typeof pooled) => (params: Params, x: Tensor, seen: Tensor) => {
    const apply = (params: Params) => block.apply(params, { x, view: view(), state: { training: { seen } } }, {});
    const { state, map } = apply(params);
    looks = map !== undefined;
    const total = (params: Params) => add(sum(sin(apply(params).y)), apply(params).losses!.energy!);
    return { training: state!.training, slopes: grad(total)(params) };
  };
  const given = [pooled.init(randomKey(1)), x, fromNumbers([3], [])] as const;
  const ours = numbersOf(await evaluate(both(recomputed(pooled)), device, ...given));
  // it has no map to give
  expect(looks).toBe(false);
  const theirs = numbersOf(await evaluate(both(pooled), device, ...given));
  expect(ours.length).toBe(theirs.length);
  for (const [i, value] of ours.entries()) expect(value).toBeCloseTo(theirs[i]!, 5);
});

test("with a cache it writes into it as the block does", async () => {
  type Params = Parameters<typeof plain.apply>[0];
  const empty = emptyCacheOf(plain, batch, length);
  const step = (block: typeof plain) => (params: Params, x: Tensor, entries: KeyValueCache, count: Tensor) => {
    const view = makeView({ pattern: causal, queries: length, keys: length, offset: count });
    const out = block.apply(params, { x, view, state: { decode: entries }, place: { position: count } }, {});
    return [out.y, out.state!.decode as KeyValueCache];
  };
  const run = (block: typeof plain) =>
    evaluate(step(block), device, params[0]!, x, empty, fromNumbers([0], [], "int32"));
  expect(numbersOf(await run(recomputed(plain)))).toEqual(numbersOf(await run(plain)));
});
