import {
  add,
  type Concrete,
  constant,
  evaluate,
  fromNumbers,
  iota,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { postNormBlock } from "../../src/blocks/block.ts";
import { leakyAverage } from "../../src/depth/act.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { startDecoding } from "../../src/depth/states.ts";
import { type UniversalOptions, type UniversalParams, universal } from "../../src/depth/universal.ts";
import type { Block, Depth, Pattern } from "../../src/kinds/index.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { stepSignals } from "../../src/position/step-signals.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees, sizeOf, slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, length, width, maxSteps] = [3, 11, 16, 4];
const norm = layerNorm();
const block = postNormBlock({
  modelWidth: width,
  norm,
  mixer: attention({ modelWidth: width, heads: 2 }),
  ffn: mlp({ modelWidth: width, ffnWidth: 24, activation: geluTanh }),
}) as unknown as Block;
const x = normal(randomKey(1), [batch, length, width]);
const finalNorm = norm(width);
const signals = stepSignals(width);

type Own = Omit<UniversalOptions, "maxSteps" | "modelWidth" | "finalNorm">;

/** A halting unit that is sure of itself, or never is. */
const certain = (bias: number) => ({
  weight: fromNumbers(new Array<number>(width).fill(0), [width, 1]),
  bias: fromNumbers([bias], [1]),
});

function prepare(options: Own, pattern: Pattern = causal, halt?: ReturnType<typeof certain>) {
  const depth = universal(block, { ...options, finalNorm, maxSteps, modelWidth: width });
  const started = mapTree(depth.init(randomKey(3)), isNdArray, (array, path) =>
    path.startsWith("halt") ? normal(randomKey(9), array.shape, { deviation: 0.5 }) : louder(array, path),
  ) as Concrete<UniversalParams>;
  const params = (halt === undefined ? started : { ...started, halt }) as Concrete<UniversalParams>;
  const through = (one: Depth<never>, params: unknown, x: Tensor, mask?: Tensor) => {
    const view = makeView({ pattern, queries: length, keys: length, ...(mask === undefined ? {} : { keyMask: mask }) });
    const input = (step: number) => signals.apply({}, step, iota(length));
    return one.apply(params as never, { x, view: () => view, state: {}, input }, {});
  };
  const pass = (params: UniversalParams, x: Tensor, mask?: Tensor) => {
    const { x: y, steps, losses, hidden } = through(depth as Depth<never>, params, x, mask);
    return { y, steps: steps!, losses, hidden };
  };
  const run = (x: NDArray, mask?: NDArray) => evaluate(pass, device, params as never, x as never, mask as never);
  return { depth, params, pass, run, through };
}

const cases: readonly (readonly [string, Own])[] = [
  ["Tensor2Tensor's", {}],
  ["a leaky average", { update: leakyAverage }],
  ["the paper's", { keepsHalted: true, assignsRest: true }],
];

test("it has the parameters of one block, the halting unit's and the norm's", () => {
  const { params } = prepare({});
  expect(sizeOf(params)).toBe(sizeOf(block.init(randomKey(0))) + (width + 1) + 2 * width);
  expect(params.blocks).toHaveLength(1);
});

describe.each(cases)("%s", (_, options) => {
  test("what halts at once has passed through the block once", async () => {
    const { params, run, through } = prepare(options, causal, certain(20));
    const { y, steps, losses } = await run(x);
    const one = blockStack([block], { finalNorm }) as Depth<never>;
    const once = await evaluate((params: unknown, x: Tensor) => through(one, params, x).x, device, params, x);
    expectSameTrees(y, once);
    expect(new Set(steps.toNumbers())).toEqual(new Set([1]));
    // One update, and all of the weight left for it.
    expect(Object.keys(losses)).toEqual(["ponder"]);
    expect(losses.ponder!.item()).toBeCloseTo(0.01 * 2, 6);
  });

  test("what never halts has passed through it as often as may be", async () => {
    const { params, run, through } = prepare(options, causal, certain(-20));
    const { steps, losses, y } = await run(x);
    expect(new Set(steps.toNumbers())).toEqual(new Set([maxSteps]));
    const rest = options.assignsRest ? 1 : 0;
    expect(losses.ponder!.item()).toBeCloseTo(0.01 * (maxSteps + rest), 6);
    if (!options.assignsRest) return;
    const all = blockStack(new Array<Block>(maxSteps).fill(block), { finalNorm }) as Depth<never>;
    const blocks = new Array(maxSteps).fill(params.blocks[0]);
    const last = await evaluate(
      (params: unknown, x: Tensor) => through(all, params, x).x,
      device,
      { ...params, blocks },
      x,
    );
    expectSameTrees(y, last);
  });

  test("positions halt at different steps, and the gradient is that of differences", async () => {
    const { params, pass, run } = prepare(options);
    const { steps, hidden, y } = await run(x);
    expect(new Set(steps.toNumbers()).size).toBeGreaterThan(1);
    expect(hidden).toHaveLength(maxSteps + 1);
    expectSameTrees(hidden.at(-1), y);
    const ponder = slopes<UniversalParams>((params) => pass(params, constant(x)).losses.ponder!, params);
    expect(Math.abs(ponder.byDifference)).toBeGreaterThan(1e-4);
    expect(ponder.byGradient).toBeCloseTo(ponder.byDifference, 6);
    const output = slopes<UniversalParams>((params) => {
      const { y } = pass(params, constant(x));
      return sum(mul(y, constant(normal(randomKey(4), y.shape))));
    }, params);
    expect(output.byGradient).toBeCloseTo(output.byDifference, 3);
  });

  test("position by position, each halts where it halts in one pass", async () => {
    const { depth, params, run } = prepare(options);
    const whole = await run(x);
    const step = (params: UniversalParams, x: Tensor, decode: readonly unknown[], position: Tensor) => {
      const out = depth.apply(
        params,
        {
          x,
          view: () => makeView({ pattern: causal, queries: 1, keys: length, offset: position }),
          state: { decode },
          place: () => ({ position }),
          input: (step) => signals.apply({}, step, add(iota(1), position)),
        },
        {},
      );
      return { y: out.x, steps: out.steps!, decode: out.state.decode! };
    };
    const at = (array: NDArray, size: number, t: number) =>
      Array.from({ length: batch }, (_, b) => {
        const from = (b * length + t) * size;
        return array.toNumbers().slice(from, from + size);
      }).flat();
    let decode: unknown = startDecoding(depth.layers, { batch, capacity: length });
    for (let t = 0; t < length; t++) {
      const own = fromNumbers(at(x, width, t), [batch, 1, width]);
      const place = fromNumbers([t], [], "int32");
      const out = await evaluate(step, device, params as never, own, decode as never, place);
      expect(out.steps.toNumbers()).toEqual(at(whole.steps, 1, t));
      expectSameTrees(out.y, fromNumbers(at(whole.y, width, t), [batch, 1, width]));
      decode = out.decode;
    }
  });

  test("padding and other rows change neither what real positions become nor when they halt", async () => {
    const { run } = prepare(options, fullPattern);
    const real = 7;
    const isReal = (i: number, size: number) => Math.floor(i / size) % length < real;
    const mask = fromNumbers(
      Array.from({ length: batch * length }, (_, i) => (isReal(i, 1) ? 1 : 0)),
      [batch, length],
    );
    const noise = normal(randomKey(7), x.shape).toNumbers();
    // Other padding everywhere, and another first row.
    const changed = x.toNumbers().map((value, i) => (i >= length * width && isReal(i, width) ? value : noise[i]!));
    const [a, b] = [await run(x, mask), await run(fromNumbers(changed, x.shape), mask)];
    const kept = (array: NDArray, size: number) =>
      array.toNumbers().filter((_, i) => i >= length * size && isReal(i, size));
    expect(kept(b.steps, 1)).toEqual(kept(a.steps, 1));
    const [found, expected] = [kept(b.y, width), kept(a.y, width)];
    expect(found).toHaveLength((batch - 1) * real * width);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
  });
});

test("the ponder loss has its weight, and halting begins where it is told to", async () => {
  const { run } = prepare({ ponderWeight: 0.5 }, causal, certain(20));
  expect((await run(x)).losses.ponder!.item()).toBeCloseTo(0.5 * 2, 5);
  const { bias } = universal(block, { maxSteps, modelWidth: width, startBias: -3 }).init(randomKey(0)).halt;
  expect(bias!.toNumbers()).toEqual([-3]);
  expect(universal(block, { maxSteps, modelWidth: width }).init(randomKey(0)).halt.bias!.toNumbers()).toEqual([1]);
});
