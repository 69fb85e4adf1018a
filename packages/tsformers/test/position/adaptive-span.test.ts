import {
  compile,
  type DeviceArray,
  evaluate,
  fromNumbers,
  mul,
  type NDArray,
  ndarray,
  randomKey,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { attend } from "../../src/attention/core/executor.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, denseMask, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { strided } from "../../src/attention/patterns/strided.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { adaptiveSpan, clampSpans, spanPattern, spanPenalty } from "../../src/position/adaptive-span.ts";
import { dynamicSpan } from "../../src/position/dynamic-span.ts";

const device = await openCpu();
afterAll(() => device.close());

function noise(shape: readonly number[], seed: number): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return fromNumbers(
    Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233 + ((i * i) % 97))),
    shape,
  );
}

test("what is trimmed changes nothing, gradients included, and is not computed", async () => {
  const [length, maxSpan, heads] = [300, 280, 2];
  const shares = ndarray([0.2, 0.41]);
  const scheme = adaptiveSpan({ heads, maxSpan, ramp: 10 });
  const shape = [1, heads, length, 4];
  const [q, k, v, r] = [1, 2, 3, 4].map((seed) => noise(shape, seed)) as [NDArray, NDArray, NDArray, NDArray];
  const run = (pattern: Pattern) => (all: [Tensor, Tensor, Tensor, Tensor], r: Tensor) => {
    const out = ([q, key, value, span]: typeof all) =>
      attend(
        q,
        { key, value },
        {
          view: makeView({ pattern, queries: length, keys: length, scores: (at) => scheme.prepare({ span }, at) }),
          scale: 0.5,
          context: {},
        },
      ).mixed;
    return [out(all), ...valueAndGrad((all: [Tensor, Tensor, Tensor, Tensor]) => sum(mul(out(all), r)))(all).gradient];
  };
  const how = { maxSpan, ramp: 10 };
  const [whole, trimmed, byHead] = (await Promise.all(
    [causal, spanPattern(shares, how), spanPattern(shares, how, { byHead: true })].map((pattern) =>
      evaluate(run(pattern), device, [q, k, v, shares] as never, r),
    ),
  )) as unknown as NDArray[][];
  for (const other of [trimmed!, byHead!]) {
    other.forEach((array, i) => {
      const expected = whole![i]!.toNumbers();
      array.toNumbers().forEach((x, j) => {
        expect(Math.abs(x - expected[j]!)).toBeLessThan(1e-4);
      });
    });
  }
  // 0.41·280 + 10 = 124.8 is rounded up to 128, and 66 of the nearer head to 72.
  const pattern = spanPattern(shares, how, { byHead: true });
  expect(pattern.heads!.map(({ keys }) => keys(250, length))).toEqual([
    [178, 251],
    [122, 251],
  ]);
  expect(spanPattern(ndarray([0.1]), how).keys(250, length)).toEqual([210, 251]);
});

test("a pattern without the query itself", () => {
  const pattern = spanPattern(ndarray([0]), { maxSpan: 100, ramp: 3 }, { self: false });
  expect(pattern.keys(0, 10)).toEqual([]);
  expect(pattern.keys(5, 10)).toEqual([2, 5]);
  expect(denseMask(pattern, 3).toNumbers()).toEqual([0, 0, 0, 1, 0, 0, 1, 1, 0]);
});

test("spans cost their mean, layer by layer, and come back between 0 and 1", async () => {
  const layers = [{ span: ndarray([0.5, 1.5]) }, { span: ndarray([-0.25, 0.75]) }];
  const run = (layers: { span: Tensor }[]) => ({ loss: spanPenalty(layers, 64, 0.5), layers: clampSpans(layers) });
  const found = (await evaluate(run, device, layers as never)) as unknown as {
    loss: NDArray;
    layers: { span: NDArray }[];
  };
  expect(found.loss.item()).toBeCloseTo(0.5 * 64 * (1 + 0.25), 4);
  expect(found.layers.map(({ span }) => span.toNumbers())).toEqual([
    [0.5, 1],
    [0, 0.75],
  ]);
});

const [modelWidth, heads] = [8, 2];
const mixer = dynamicSpan(attention({ modelWidth, heads }), {
  modelWidth,
  heads,
  maxSpan: 90,
  ramp: 6,
  startBias: -2,
  penalty: 0.1,
});

test("a dynamic span is the same in blocks, in blocks in another order, and token by token", async () => {
  const length = 80;
  const params = mixer.init(randomKey(1));
  const x = noise([2, length, modelWidth], 5);
  const pass = (pattern: Pattern, queriesPerBlock: number) => (params: never, x: Tensor) => {
    const view = makeView({ pattern, queries: length, keys: length, queriesPerBlock });
    return mixer.apply(params, { x, view }, {}).y;
  };
  const run = async (pattern: Pattern, size: number) =>
    ((await evaluate(pass(pattern, size), device, params as never, x)) as unknown as NDArray).toNumbers();
  for (const pattern of [causal, strided({ stride: 8, causal: true })]) {
    const [blocks, whole] = [await run(pattern, 32), await run({ ...pattern, name: "plain" }, 80)];
    blocks.forEach((y, i) => {
      expect(Math.abs(y - whole[i]!)).toBeLessThan(1e-5);
    });
  }
  const step = compile(
    (params: never, x: Tensor, cache: { key: Tensor; value: Tensor }, length: Tensor) => {
      const view = makeView({ pattern: causal, queries: 1, keys: 80, offset: length });
      const { y, state } = mixer.apply(params, { x, view, state: { decode: cache }, place: { position: length } }, {});
      return { y, cache: state!.decode };
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; cache: unknown }>;
  const expected = await run(causal, 80);
  const numbers = x.toNumbers();
  let cache: unknown = {
    key: fromNumbers(new Array(2 * heads * 80 * 4).fill(0), [2, heads, 80, 4]),
    value: fromNumbers(new Array(2 * heads * 80 * 4).fill(0), [2, heads, 80, 4]),
  };
  for (let t = 0; t < 20; t++) {
    const row = [0, 1].flatMap((b) => numbers.slice((b * length + t) * modelWidth, (b * length + t + 1) * modelWidth));
    const out = await step(params, fromNumbers(row, [2, 1, modelWidth]), cache, fromNumbers([t], [], "int32"));
    cache = out.cache;
    const y = (await out.y.read()).toNumbers();
    y.forEach((value, i) => {
      const b = Math.floor(i / modelWidth);
      expect(Math.abs(value - expected[(b * length + t) * modelWidth + (i % modelWidth)]!)).toBeLessThan(1e-5);
    });
  }
});

test("a dynamic span costs its mean", async () => {
  const params = mixer.init(randomKey(1)) as unknown as { span: { weight: NDArray; bias: NDArray } };
  const x = noise([2, 5, modelWidth], 5);
  const pass = (params: never, x: Tensor) =>
    mixer.apply(params, { x, view: makeView({ pattern: causal, queries: 5, keys: 5 }) }, {}).losses!.span!;
  const loss = ((await evaluate(pass, device, params as never, x)) as unknown as NDArray).item();
  const [w, rows] = [params.span.weight.toNumbers(), x.toNumbers()];
  let total = 0;
  for (let row = 0; row < 10; row++) {
    for (let h = 0; h < heads; h++) {
      let wanted = -2;
      for (let c = 0; c < modelWidth; c++) wanted += w[h * modelWidth + c]! * rows[row * modelWidth + c]!;
      total += 1 / (1 + Math.exp(-wanted));
    }
  }
  expect(loss).toBeCloseTo((0.1 * 90 * total) / 20, 4);
});
