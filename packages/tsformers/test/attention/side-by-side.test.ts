import { add, evaluate, flatten, isNdArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import { routing } from "../../src/attention/routing/routing.ts";
import { localAttention } from "../../src/attention/softmax/local-attention.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { inputs, mixerCases, prepareMixer, sizes } from "./mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const options = { centroids: 4, window: 6, localHeads: 1, localChunk: 5 };
const cases = mixerCases({ routing: [{ options }] }).filter(({ member }) => member === "routing");
const headWidth = sizes.modelWidth / sizes.heads;

test.each(cases.map((one) => [one.direction, one] as const))("%s: what each gives alone, added up", async (_, one) => {
  const prepared = await prepareMixer(one, device);
  const x = inputs(23, 1, 2);
  const { y, map } = await prepared.run(x);

  const isCausal = one.direction === "causal";
  const base = { modelWidth: sizes.modelWidth, headWidth, causal: isCausal };
  const local = localAttention({ ...base, heads: 1, chunk: 5 });
  const routed = routing({ ...base, heads: 2, centroids: 4, window: 6 });
  const alone = (params: { local: never; routing: never }, x: Tensor) => {
    const view = makeView({ pattern: isCausal ? causal : fullPattern, queries: 23, keys: 23 });
    return add(
      local.apply(params.local, { x, view }, evaluation).y,
      routed.apply(params.routing, { x, view }, evaluation).y,
    );
  };
  const expected = (await evaluate(alone, device, prepared.params, x)).toNumbers();
  y.toNumbers().forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 5));

  const [batch, heads, length, width] = map!.weights.shape as [number, number, number, number];
  expect([batch, heads, length]).toEqual([2, sizes.heads, 23]);
  expect(map!.keys!.shape).toEqual(map!.weights.shape);
  const weights = map!.weights.toNumbers();
  const local0 = weights.slice(0, width * length);
  for (let t = 0; t < length; t++) {
    expect(local0.slice(t * width, (t + 1) * width).reduce((a, b) => a + b)).toBeCloseTo(1, 4);
  }
});

test("it decodes, and keeps the training state of its parts", async () => {
  const one = cases.find(({ direction }) => direction === "causal")!;
  const { mixer, run, decode } = await prepareMixer(one, device);
  const x = inputs(23, 1, 2);
  const whole = (await run(x)).y.toNumbers();
  (await decode(x)).toNumbers().forEach((value, i) => void expect(value).toBeCloseTo(whole[i]!, 4));

  const start = mixer.initTrainingState!(randomKey(3));
  const { training } = await run(x, { training: start, key: 1 });
  expect(flatten(training, isNdArray).structure).toEqual(flatten(start, isNdArray).structure);
  expect(Object.keys(start as object)).toEqual(["routing"]);
});

test("at least one head has to be routed", () => {
  const make = () => mixers.routing.make({ localHeads: 3 }, { ...sizes, causal: true });
  expect(make).toThrow("fewer than all 3 heads");
});
