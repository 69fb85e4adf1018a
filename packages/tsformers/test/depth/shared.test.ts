import {
  evaluate,
  grad,
  isNdArray,
  keyToArray,
  mapTree,
  normal,
  randomKey,
  sin,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { preNormBlock } from "../../src/blocks/block.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { type SharedOptions, shared } from "../../src/depth/shared.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { startDecoding, startTraining } from "../../src/depth/states.ts";
import type { Block, Depth, Mixer, StackState } from "../../src/kinds/index.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees, numbersByPath, numbersOf, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, length, modelWidth, ffnWidth, count] = [2, 12, 16, 24, 6];
const norm = layerNorm();
const ffn = mlp({ modelWidth, ffnWidth, activation: geluTanh });
const blockAround = (mixer: Mixer): Block => preNormBlock({ modelWidth, norm, mixer, ffn }) as Block;
const softmax = blockAround(attention({ modelWidth, heads: 2 }) as Mixer);
const blocks = Array.from({ length: count }, () => softmax);
const finalNorm = norm(modelWidth);
const x = normal(randomKey(1), [batch, length, modelWidth]);
const view = () => makeView({ pattern: causal, queries: length, keys: length });

type Parts = Record<string, unknown>;
type Tree = { readonly blocks: readonly Parts[]; readonly shared?: Parts; readonly finalNorm?: unknown };

function paramsOf(depth: Depth<never>): Tree {
  return mapTree(depth.init(randomKey(3)), isNdArray, (array, path) => louder(array, path)) as unknown as Tree;
}

/** For each case, the block that each layer runs, and the parts that all share. */
const cases: readonly (readonly [string, SharedOptions, readonly number[], readonly string[]])[] = [
  ["all layers share a block", {}, [0, 0, 0, 0, 0, 0], []],
  ["two groups", { groups: 2 }, [0, 0, 0, 1, 1, 1], []],
  ["groups that are not equally large", { groups: 4 }, [0, 0, 1, 2, 2, 3], []],
  ["as many groups as layers", { groups: count }, [0, 1, 2, 3, 4, 5], []],
  ["attention is shared", { parts: ["mixer", "mixerNorm"] }, [0, 1, 2, 3, 4, 5], ["mixer", "mixerNorm"]],
  ["the feed-forward network is shared", { parts: ["ffn", "ffnNorm"] }, [0, 1, 2, 3, 4, 5], ["ffn", "ffnNorm"]],
];

describe.each(cases)("%s", (_, options, plan, parts) => {
  const depth = shared(blocks, { ...options, finalNorm }) as Depth<never>;
  const params = paramsOf(depth);

  test("it has the parameters of its blocks", () => {
    const whole = softmax.init(randomKey(0)) as Parts;
    // Four projections and two of the network, each with its bias, and two norms.
    expect(sizeOf(whole)).toBe(4 * modelWidth ** 2 + 2 * modelWidth * ffnWidth + 9 * modelWidth + ffnWidth);
    const once = parts.reduce((total, part) => total + sizeOf(whole[part]), 0);
    const each = new Set(plan).size * (sizeOf(whole) - once);
    expect(sizeOf(params)).toBe(each + once + 2 * modelWidth);
  });

  test("it is a stack of layers with equal parameters, whose gradients add up", async () => {
    const run = (one: Depth) => (params: unknown, x: Tensor) => {
      const apply = (of: { params: unknown; x: Tensor }) => one.apply(of.params, { x: of.x, view, state: {} }, {});
      const { x: y, hidden, maps } = apply({ params, x });
      const gradients = grad((of: { params: unknown; x: Tensor }) => sum(sin(apply(of).x)))({ params, x });
      return { y, hidden, map: maps.at(-1)!().weights, gradients };
    };
    const spread = { ...params, blocks: plan.map((block) => ({ ...params.shared, ...params.blocks[block] })) };
    const ours = await evaluate(run(depth as Depth), device, params, x);
    const theirs = await evaluate(run(blockStack(blocks, { finalNorm }) as Depth), device, spread, x);
    const outputs = ({ y, hidden, map, gradients }: typeof ours) => ({ y, hidden, map, x: gradients.x });
    expectSameTrees(outputs(ours), outputs(theirs));

    const [found, each] = [ours.gradients.params, theirs.gradients.params] as unknown as [Tree, Tree];
    const addedUp = (layers: readonly unknown[]) => {
      const all = layers.map(numbersByPath);
      return (path: string) => all.map((one) => one[path]!).reduce((a, b) => a.map((value, i) => value + b[i]!));
    };
    const compare = (own: unknown, layers: readonly unknown[]) => {
      const expected = addedUp(layers);
      for (const [path, values] of Object.entries(numbersByPath(own))) {
        const most = Math.max(1, ...expected(path).map(Math.abs));
        values.forEach((value, i) => {
          expect(Math.abs(value - expected(path)[i]!) / most, path).toBeLessThan(2e-5);
        });
      }
    };
    found.blocks.forEach((own, block) => {
      compare(
        own,
        each.blocks.filter((_, layer) => plan[layer] === block),
      );
    });
    if (found.shared !== undefined) compare(found.shared, each.blocks);
    expectSameTrees(found.finalNorm, each.finalNorm);
  });
});

test("each layer keeps a training state of its own", async () => {
  const mixer = mixers.routing.make({ centroids: 3, window: 6 }, { modelWidth, heads: 2, length, causal: true });
  const layers = [blockAround(mixer), blockAround(mixer)];
  const depth = shared(layers);
  const params = paramsOf(depth as Depth<never>);
  const training = startTraining(layers, randomKey(4))!;
  const key = keyToArray(randomKey(5));
  const run = (one: Depth) => (params: unknown, x: Tensor, training: StackState["training"] & object, key: Tensor) =>
    one.apply(params, { x, view, state: { training } }, { key }).state.training!;
  const equal = { blocks: [params.blocks[0], params.blocks[0]] };
  const ours = await evaluate(run(depth as Depth), device, params, x, training as never, key);
  const theirs = await evaluate(run(blockStack(layers) as Depth), device, equal, x, training as never, key);
  expect(Object.keys(ours)).toEqual(["0", "1"]);
  expectSameTrees(ours, theirs);
  expect(numbersOf(ours["0"])).not.toEqual(numbersOf(training["0"]));
  expect(numbersOf(ours["1"])).not.toEqual(numbersOf(ours["0"]));
  expect(startDecoding(depth.layers, { batch, capacity: length, training })).toHaveLength(2);
});

test("what does not fit is refused", () => {
  expect(() => shared(blocks, { groups: 0 })).toThrow("groups must be from 1 to 6, the number of layers, got 0");
  expect(() => shared(blocks, { groups: 7 })).toThrow(RangeError);
  expect(() => shared(blocks, { groups: 1.5 })).toThrow(RangeError);
  expect(() => shared(blocks, { groups: 2, parts: ["ffn"] })).toThrow(
    "parts are shared by all layers; leave groups away",
  );
  expect(() => shared(blocks, { parts: ["attention"] }).init(randomKey(0))).toThrow(
    'a block has no part "attention"; it has mixerNorm, mixer, ffnNorm, ffn',
  );
});
