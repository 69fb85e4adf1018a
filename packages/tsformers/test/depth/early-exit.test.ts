import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  evaluate,
  fromNumbers,
  iota,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  slice,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { preNormBlock } from "../../src/blocks/block.ts";
import { type Confidence, saturation } from "../../src/depth/adaptive/exit-rules.ts";
import { type EarlyExitOptions, earlyExit } from "../../src/depth/early-exit.ts";
import type { StackParams } from "../../src/depth/layers.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { startDecoding } from "../../src/depth/states.ts";
import type { Block, Depth } from "../../src/kinds/index.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, length, width, count] = [2, 10, 16, 5];
const norm = layerNorm();
const block = preNormBlock({
  modelWidth: width,
  norm,
  mixer: attention({ modelWidth: width, heads: 2 }),
  ffn: mlp({ modelWidth: width, ffnWidth: 24, activation: geluTanh }),
}) as Block;
const blocks = Array.from({ length: count }, () => block);
const finalNorm = norm(width);
const params = mapTree(blockStack(blocks, { finalNorm }).init(randomKey(3)), isNdArray, (array, path) =>
  louder(array, path),
) as Concrete<StackParams>;
const x = normal(randomKey(1), [batch, length, width], { deviation: 0.5 });
const view = () => makeView({ pattern: causal, queries: length, keys: length });
const signal = normal(randomKey(8), [count, width]);

const exits = (options: EarlyExitOptions): Depth => earlyExit(blocks, { ...options, finalNorm }) as Depth;

/** Vectors of positions before every layer, as a model may have them. */
const placed = (signal: Tensor) => (layer: number) => slice(signal, 0, layer, layer + 1);

function run(depth: Depth, context: { key?: NDArray } = {}) {
  const pass = (params: unknown, x: Tensor, signal: Tensor, key: Tensor | undefined) => {
    const input = { x, view, state: {}, input: placed(signal) };
    const { x: y, hidden, steps } = depth.apply(params, input, key === undefined ? {} : { key });
    return { y, hidden, ...(steps === undefined ? {} : { steps }) };
  };
  return evaluate(pass, device, params, x, signal, context.key) as Promise<{
    y: NDArray;
    hidden: NDArray[];
    steps?: NDArray;
  }>;
}

const rowsOf = (array: NDArray, size = width): number[][] => {
  const values = array.toNumbers();
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
};

function cosine(a: readonly number[], b: readonly number[]): number {
  const product = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

/** The definition, position by position: every layer reads states in which those that left were copied up. */
async function byDefinition(threshold: number, leastLayers: number) {
  const apply = (params: unknown, x: Tensor, signal: Tensor) => {
    const before = add(x, signal);
    return { before, after: block.apply(params, { x: before, view: view() }, {}).y };
  };
  const signals = rowsOf(signal);
  const hidden = [rowsOf(x)];
  const steps = hidden[0]!.map(() => 0);
  const isActive = steps.map(() => true);
  let closest = 1;
  for (let layer = 0; layer < count; layer++) {
    const own = fromNumbers(signals[layer]!, [1, width]);
    const given = fromNumbers(hidden[layer]!.flat(), x.shape);
    const { before, after } = await evaluate(apply, device, params.blocks[layer] as never, given, own);
    const [from, to] = [rowsOf(before), rowsOf(after)];
    hidden.push(hidden[layer]!.map((row, i) => (isActive[i] ? to[i]! : row)));
    isActive.forEach((active, i) => {
      if (!active) return;
      steps[i]!++;
      if (layer + 1 < leastLayers) return;
      const sure = cosine(from[i]!, to[i]!);
      closest = Math.min(closest, Math.abs(sure - threshold));
      isActive[i] = sure < threshold;
    });
  }
  return { hidden, steps, closest };
}

test("above 1 it is the stack, and every position goes through all layers", async () => {
  const { steps, ...found } = await run(exits({ threshold: 1.01 }));
  expectSameTrees(found, await run(blockStack(blocks, { finalNorm }) as Depth), 1e-6);
  expect(steps!.shape).toEqual([batch, length]);
  expect(new Set(steps!.toNumbers())).toEqual(new Set([count]));
});

test.each([1, 3, count])("below −1 every position leaves after the first %i layers", async (leastLayers) => {
  const found = await run(exits({ threshold: -1.01, leastLayers }));
  const first = await run(blockStack(blocks.slice(0, leastLayers), { finalNorm }) as Depth);
  expectSameTrees(found.y, first.y, 1e-6);
  expect(new Set(found.steps!.toNumbers())).toEqual(new Set([leastLayers]));
});

test.each([
  [0.9, 1],
  [0.9763, 1],
  [0.9808, 3],
])(
  "with a threshold of %d and at least %i layers, positions leave as the definition says",
  async (threshold, leastLayers) => {
    const expected = await byDefinition(threshold, leastLayers);
    // No choice so close that rounding could turn it over, and choices of both kinds.
    expect(expected.closest).toBeGreaterThan(1e-4);
    expect(new Set(expected.steps).size).toBeGreaterThan(1);
    const { steps, hidden } = await run(exits({ threshold, leastLayers }));
    expect(steps!.toNumbers()).toEqual(expected.steps);
    expect(hidden).toHaveLength(count + 1);
    // The last one has passed the final norm.
    hidden.slice(0, -1).forEach((states, layer) => {
      expectSameTrees(states, fromNumbers(expected.hidden[layer]!.flat(), x.shape));
    });
  },
);

test("in training every position goes through all layers, with dropout or without", async () => {
  const { y, steps } = await run(exits({ threshold: 0.9763 }), { key: keyToArray(randomKey(1)) });
  expectSameTrees(y, (await run(blockStack(blocks, { finalNorm }) as Depth)).y, 1e-6);
  expect(new Set(steps!.toNumbers())).toEqual(new Set([count]));
});

test("position by position, each leaves where it leaves in one pass", async () => {
  const depth = exits({ threshold: 0.9763 });
  const whole = await run(depth);
  const step = (params: unknown, x: Tensor, signal: Tensor, decode: readonly unknown[], position: Tensor) => {
    const input = {
      x,
      view: () => makeView({ pattern: causal, queries: 1, keys: length, offset: position }),
      state: { decode },
      place: () => ({ position }),
      input: placed(signal),
    };
    const out = depth.apply(params, input, {});
    return { y: out.x, steps: out.steps!, decode: out.state.decode! };
  };
  let decode: unknown = startDecoding(depth.layers, { batch, capacity: length });
  for (let t = 0; t < length; t++) {
    const at = (array: NDArray, size: number) =>
      Array.from({ length: batch }, (_, b) => rowsOf(array, size)[b * length + t]!).flat();
    const own = fromNumbers(at(x, width), [batch, 1, width]);
    const out = await evaluate(step, device, params, own, signal, decode as never, fromNumbers([t], [], "int32"));
    expect(out.steps.toNumbers()).toEqual(at(whole.steps!, 1));
    expectSameTrees(out.y, fromNumbers(at(whole.y, width), [batch, 1, width]));
    decode = out.decode;
  }
});

test("the confidence may be another", async () => {
  // Position t is sure of itself from layer 5 − t on.
  let layer = 0;
  const byPosition: Confidence = (before) => {
    layer++;
    return broadcastTo(add(iota([length], 0, "float32"), layer), before.shape.slice(0, -1));
  };
  const { steps } = await run(exits({ threshold: 5, confidence: byPosition }));
  expect(steps!.toNumbers()).toEqual([0, 1].flatMap(() => [5, 4, 3, 2, 1, 1, 1, 1, 1, 1]));
});

test("saturation is the cosine, in float16 too, and no number is lost on zeros", async () => {
  const [a, b] = [normal(randomKey(5), [3, 2, 8]), normal(randomKey(6), [3, 2, 8])];
  const found = await evaluate(saturation, device, a, b);
  expect(found.shape).toEqual([3, 2]);
  found.toNumbers().forEach((value, i) => {
    expect(value).toBeCloseTo(cosine(rowsOf(a, 8)[i]!, rowsOf(b, 8)[i]!), 5);
  });
  const half = await evaluate(
    (a: Tensor, b: Tensor) => saturation(cast(a, "float16"), cast(b, "float16")),
    device,
    a,
    b,
  );
  expect(half.dtype).toBe("float32");
  expectSameTrees(half, found, 2e-3);
  const none = fromNumbers(new Array(8).fill(0), [1, 1, 8]);
  expect((await evaluate(saturation, device, none, none)).toNumbers()).toEqual([0]);
});

test("what does not fit is refused", () => {
  for (const wrong of [
    { threshold: Number.NaN },
    { threshold: Infinity },
    { threshold: 1, leastLayers: 0 },
    { threshold: 1, leastLayers: 1.5 },
  ])
    expect(() => earlyExit(blocks, wrong)).toThrow("earlyExit: expected a finite threshold and at least one layer");
});
