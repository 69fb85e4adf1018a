import {
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  normal,
  type OnnxGraph,
  randomKey,
  type Tensor,
  toOnnx,
  trace,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { preNormBlock } from "../../src/blocks/block.ts";
import { type AdaptiveOptions, adaptiveDepth } from "../../src/depth/adaptive/adaptive-depth.ts";
import { type ExitClassifier, geometricExits, multinomialExits } from "../../src/depth/adaptive/exit-classifiers.ts";
import { agreesWithLast, consistencyLoss } from "../../src/depth/adaptive/exit-losses.ts";
import { exitWorth } from "../../src/depth/adaptive/exit-oracles.ts";
import { confident, decayingThreshold, logitsAt, saturation } from "../../src/depth/adaptive/exit-rules.ts";
import { startDecoding } from "../../src/depth/states.ts";
import type { Block, Depth } from "../../src/kinds/index.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, length, width, count] = [2, 9, 12, 4];
const block = preNormBlock({
  modelWidth: width,
  norm: layerNorm(),
  mixer: attention({ modelWidth: width, heads: 2 }),
  ffn: mlp({ modelWidth: width, ffnWidth: 24, activation: geluTanh }),
}) as Block;
const depthOf = (options: AdaptiveOptions): Depth =>
  adaptiveDepth(
    Array.from({ length: count }, () => block),
    options,
  ) as Depth;
const paramsOf = (depth: Depth) => mapTree(depth.init(randomKey(3)), isNdArray, louder) as never;
const x = normal(randomKey(1), [batch, length, width]);

/** One pass over all positions. */
function run(depth: Depth, params: never, key?: NDArray) {
  const pass = (params: never, x: Tensor, key: Tensor | undefined) => {
    const view = () => makeView({ pattern: causal, queries: length, keys: length });
    const { hidden, steps } = depth.apply(params, { x, view, state: {} }, key === undefined ? {} : { key });
    return { hidden, steps: steps! };
  };
  return evaluate(pass, device, params, x, key as never) as unknown as Promise<{ hidden: NDArray[]; steps: NDArray }>;
}

describe("in decoding, a layer that no row needs", () => {
  const depth = depthOf({ rule: confident(({ before, after }) => saturation(before, after), 0.9) });
  const params = paramsOf(depth);
  const step = (params: never, x: Tensor, decode: readonly unknown[], position: Tensor) => {
    const view = () => makeView({ pattern: causal, queries: 1, keys: length, offset: position });
    const out = depth.apply(params, { x, view, state: { decode }, place: () => ({ position }) }, {});
    return { y: out.x, decode: out.state.decode };
  };

  test("costs the products for keys and values alone, which stand before the choice", () => {
    const args = [
      params,
      fromNumbers(new Array(batch * width).fill(0), [batch, 1, width]),
      startDecoding(depth.layers, { batch, capacity: length }),
      fromNumbers([0], [], "int32"),
    ];
    const graph = graphOf(step as never, args);
    const choices = graph.nodes.filter(({ op }) => op === "If");
    expect(choices).toHaveLength(count - 1);
    for (const { attributes } of choices) {
      const [needed, left] = ["then_branch", "else_branch"].map((name) => productsOf(attributes[name] as never));
      expect(left).toBe(0);
      // Queries, two of attention, its output, and two of the feed-forward network.
      expect(needed).toBe(6);
    }
    // The first layer is computed in any case.
    expect(productsOf({ graph })).toBe(8 + 2 * (count - 1));
  });
});

function graphOf(fn: (...args: never[]) => unknown, args: unknown[]): OnnxGraph {
  const { leaves, structure } = flatten(args, isNdArray);
  return toOnnx(trace(fn, structure, leaves).program).graph;
}

function productsOf({ graph }: { graph: OnnxGraph }): number {
  return graph.nodes.filter(({ op }) => /MatMul|Gemm/.test(op)).length;
}

const weight = (values: number[][]) => fromNumbers(values.flat(), [values.length, values[0]!.length]);

/** The classifier's log-probabilities, and how many layers each position went through. */
async function classified(classifier: ExitClassifier, own: object) {
  const depth = depthOf({ rule: classifier });
  const params = { ...(paramsOf(depth) as object), exit: own } as never;
  const { hidden, steps } = await run(depth, params);
  // States of positions that went on are those of the stack up to where they leave, so the first is always right.
  const log = (await evaluate(
    (exit: never, ...states: Tensor[]) => classifier.logDistribution(exit, states),
    device,
    own as never,
    ...hidden.slice(1),
  )) as unknown as NDArray;
  return { log, steps: steps.toNumbers(), hidden };
}

test("multinomial exits: every position leaves after the layer that is most likely after the first", async () => {
  const own = {
    weight: normal(randomKey(4), [width, count], { deviation: 1 }),
    bias: fromNumbers([0, 0, 0, 0], [count]),
  };
  const { log, steps } = await classified(multinomialExits(width, count), own);
  const values = log.toNumbers();
  const best = steps.map((_, i) => {
    const own = values.slice(i * count, (i + 1) * count);
    return 1 + own.indexOf(Math.max(...own));
  });
  expect(steps).toEqual(best);
  expect(new Set(steps).size).toBeGreaterThan(2);
});

test("geometric exits: a position leaves after the first layer whose own threshold it reaches", async () => {
  const thresholds = [0.9, 0.3, 0.5];
  const own = { weight: normal(randomKey(4), [count - 1, width]), bias: fromNumbers([0, -1, 0.5], [count - 1]) };
  const { steps, hidden } = await classified(geometricExits(width, count, thresholds), own);
  const [w, b] = [own.weight.toNumbers(), own.bias.toNumbers()];
  const expected = steps.map((_, i) => {
    const left = thresholds.findIndex((threshold, n) => {
      const h = hidden[n + 1]!.toNumbers().slice(i * width, (i + 1) * width);
      const score = h.reduce((sum, value, c) => sum + value * w[n * width + c]!, b[n]!);
      return 1 / (1 + Math.exp(-score)) >= threshold;
    });
    return left < 0 ? count : left + 1;
  });
  expect(steps).toEqual(expected);
  expect(new Set(steps).size).toBeGreaterThan(2);
});

test("in mixed training exits are drawn, all as often, and states above are copies", async () => {
  const depth = depthOf({ rule: multinomialExits(width, count), samplesExits: true });
  const params = paramsOf(depth);
  const found: number[] = [];
  for (let seed = 0; seed < 5; seed++) {
    const { hidden, steps } = await run(depth, params, keyToArray(randomKey(seed)));
    const states = hidden.map((array) => array.toNumbers());
    steps.toNumbers().forEach((layers, i) => {
      const state = (layer: number) => states[layer]!.slice(i * width, (i + 1) * width);
      for (let layer = layers + 1; layer <= count; layer++) expect(state(layer)).toEqual(state(layers));
      if (layers < count) expect(state(layers)).not.toEqual(state(layers - 1));
      found.push(layers);
    });
  }
  for (let layer = 1; layer <= count; layer++) {
    const share = found.filter((layers) => layers === layer).length / found.length;
    expect(Math.abs(share - 1 / count)).toBeLessThan(0.15);
  }
});

test("the worth of exits: scores of neighbours in proportion to how near they are, row by row, less what layers cost", async () => {
  const [layers, rows, positions, smoothing, layerCost] = [3, 2, 5, 2.5, 0.3];
  const scores = normal(randomKey(9), [layers, rows, positions]);
  const found = await evaluate((x: Tensor) => exitWorth(x, { smoothing, layerCost }), device, scores);
  const given = scores.toNumbers();
  const at = (n: number, b: number, t: number) => given[(n * rows + b) * positions + t]!;
  found.toNumbers().forEach((value, i) => {
    const [n, b, t] = [Math.floor(i / (rows * positions)), Math.floor(i / positions) % rows, i % positions];
    let expected = -layerCost * (n + 1);
    for (let other = 0; other < positions; other++)
      expected += Math.exp(-((t - other) ** 2) / smoothing) * at(n, b, other);
    expect(value).toBeCloseTo(expected, 4);
  });
});

test("the loss of consistency: both answers of a layer weigh as much, positions without weight do not count", async () => {
  const [layers, positions] = [2, 6];
  const scores = normal(randomKey(5), [layers, 1, positions]);
  const labels = [1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0];
  const weights = [1, 1, 1, 1, 1, 0];
  const loss = (scores: Tensor, labels: Tensor, weights: Tensor) => consistencyLoss(scores, labels, weights);
  const args = [fromNumbers(labels, [layers, 1, positions]), fromNumbers(weights, [1, positions])] as const;
  const byDefinition = (given: number[]): number => {
    const parts = [0, 1].flatMap((layer) =>
      [1, 0].map((answer) => {
        const own = [0, 1, 2, 3, 4].filter((t) => labels[layer * positions + t] === answer);
        const each = own.map((t) => Math.log1p(Math.exp((answer === 1 ? -1 : 1) * given[layer * positions + t]!)));
        return own.length === 0 ? 0 : each.reduce((a, b) => a + b, 0) / own.length;
      }),
    );
    return parts.reduce((a, b) => a + b, 0) / (2 * layers);
  };
  const given = scores.toNumbers();
  expect((await evaluate(loss, device, scores, ...args)).item()).toBeCloseTo(byDefinition(given), 5);
  const slopes = (await evaluate(
    (s: Tensor, l: Tensor, w: Tensor) => grad((s: Tensor) => loss(s, l, w))(s),
    device,
    scores,
    ...args,
  )) as NDArray;
  slopes.toNumbers().forEach((slope, i) => {
    const [up, down] = [1e-4, -1e-4].map((step) => byDefinition(given.with(i, given[i]! + step)));
    expect(slope).toBeCloseTo((up! - down!) / 2e-4, 5);
  });
});

test("labels say where an exit writes what the last layer writes", async () => {
  const logits = [
    weight([
      [2, 1],
      [0, 3],
    ]),
    weight([
      [0, 1],
      [1, 2],
    ]),
    weight([
      [5, 1],
      [1, 6],
    ]),
  ];
  const found = await evaluate((...all: Tensor[]) => agreesWithLast(all), device, ...logits);
  expect(found.toNumbers()).toEqual([1, 1, 0, 1]);
});

test("a threshold that falls is within 0 and 1, at a position of its own in decoding as in one pass", async () => {
  const at = (threshold: number) =>
    evaluate(
      (positions: Tensor) => decayingThreshold(threshold, { length: 4 })(positions),
      device,
      fromNumbers([0, 1, 4], [3], "int32"),
    );
  const expected = [0, 1, 4].map((t) => 0.45 + 0.1 * Math.exp(-t));
  (await at(0.5)).toNumbers().forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i]!, 6);
  });
  expect((await at(1)).toNumbers()[0]).toBe(1);
  expect((await at(-1)).toNumbers()).toEqual([0, 0, 0]);
});

test("what does not fit is refused", async () => {
  const rule = confident(({ before, after }) => saturation(before, after), 0.9);
  for (const leastLayers of [0, 1.5, count + 1])
    expect(() => depthOf({ rule, leastLayers })).toThrow(`expected leastLayers of 1 … 4, got ${leastLayers}`);
  const asksLogits = depthOf({ rule: confident((at) => logitsAt(at), 0.9) });
  await expect(run(asksLogits, paramsOf(asksLogits))).rejects.toThrow("the model has no head of its own");
});
