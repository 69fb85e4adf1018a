import {
  type Concrete,
  compile,
  evaluate,
  keyToArray,
  mul,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { atLeast, awayFromZero, type Denominator, exactly } from "../../src/attention/kernel/denominator.ts";
import type { Drawn } from "../../src/attention/kernel/drawn-features.ts";
import { mapped } from "../../src/attention/kernel/feature-map.ts";
import { kernelAttention } from "../../src/attention/kernel/kernel-attention.ts";
import { arcCosineKernel, gaussianKernel, type RfaParams, rfa, rfaFeatures } from "../../src/attention/kernel/rfa.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";

const device = await openCpu();
const [H, T, D, M] = [2, 19, 4, 6];
const q = normal(randomKey(1), [1, H, T, D]);
const k = normal(randomKey(2), [1, H, T, D]);
const v = normal(randomKey(3), [1, H, T, D]);
const w = normal(randomKey(4), [H, M, D]);
const gateLogits = normal(randomKey(5), [1, H, T], { deviation: 2 });

/** Position by position, as the paper writes it, in float64. */
function plainly(gated: boolean, guard: (sum: number) => number): number[] {
  const [qs, ks, vs, ws, gs] = [q, k, v, w, gateLogits].map((array) => array.toNumbers()) as number[][];
  const out: number[] = [];
  const features = (x: number[], head: number) => {
    const length = Math.sqrt(x.reduce((sum, a) => sum + a * a, 0)) + 1e-3;
    const u = Array.from({ length: M }, (_, m) =>
      x.reduce((sum, a, d) => sum + (a / length) * ws![(head * M + m) * D + d]!, 0),
    );
    return [...u.map(Math.sin), ...u.map(Math.cos)].map((a) => a / Math.sqrt(M));
  };
  for (let head = 0; head < H; head++) {
    const S = Array.from({ length: 2 * M }, () => new Array<number>(D).fill(0));
    const z = new Array<number>(2 * M).fill(0);
    for (let t = head * T; t < (head + 1) * T; t++) {
      const row = (from: number[]) => from.slice(t * D, (t + 1) * D);
      const g = 1 / (1 + Math.exp(-gs![t]!));
      const [kept, taken] = gated ? [g, 1 - g] : [1, 1];
      features(row(ks!), head).forEach((phi, m) => {
        z[m] = kept * z[m]! + taken * phi;
        for (let d = 0; d < D; d++) S[m]![d] = kept * S[m]![d]! + taken * phi * vs![t * D + d]!;
      });
      const phi = features(row(qs!), head);
      const weights = guard(phi.reduce((sum, a, m) => sum + a * z[m]!, 0));
      for (let d = 0; d < D; d++) out.push(phi.reduce((sum, a, m) => sum + a * S[m]![d]!, 0) / weights);
    }
  }
  return out;
}

const magnitude = (least: number) => (x: number) => Math.max(Math.abs(x), least) * (x < 0 ? -1 : 1);
test.each<[string, boolean, Denominator, (x: number) => number]>([
  ["exactly", false, exactly, (x) => x],
  ["exactly, gated", true, exactly, (x) => x],
  ["away from zero, gated", true, awayFromZero(0.3), magnitude(0.3)],
  ["at least 1", false, atLeast(1), (x) => Math.max(x, 1)],
])("%s: the recurrence of the paper", async (_, gated, denominator, guard) => {
  const run = (q: Tensor, k: Tensor, v: Tensor, w: Tensor, gateLogits: Tensor) => {
    const map = rfaFeatures(w);
    const options = { causal: true, denominator, chunk: 4, ...(gated ? { gateLogits } : {}) };
    return kernelAttention(mapped(map, q, k), v, options).mixed;
  };
  const found = (await evaluate(run, device, q, k, v, w, gateLogits)).toNumbers();
  const expected = plainly(gated, guard);
  found.forEach((x, i) => void expect(Math.abs(x - expected[i]!) / (1 + Math.abs(expected[i]!))).toBeLessThan(1e-4));
});

test.each([
  [gaussianKernel, (cosine: number) => Math.exp(cosine - 1)],
  // The mean of max(u, 0) max(u', 0) for normal u, u' that correlate with the cosine of an angle.
  [
    arcCosineKernel,
    (cosine: number) => (Math.sqrt(1 - cosine ** 2) + (Math.PI - Math.acos(cosine)) * cosine) / (2 * Math.PI),
  ],
] as const)("features estimate their kernel, %#", async (kernel, value) => {
  const run = (key: Tensor, other: Tensor, w: Tensor) => {
    const map = rfaFeatures(w, kernel, 0);
    const { query, key: others } = mapped(map, key, other);
    return sum(mul(query, others), { axes: -1 });
  };
  const found = (await evaluate(run, device, q, k, normal(randomKey(6), [H, 20_000, D]))).toNumbers();
  const [qs, ks] = [q.toNumbers(), k.toNumbers()];
  found.forEach((x, at) => {
    const [a, b] = [qs.slice(at * D, (at + 1) * D), ks.slice(at * D, (at + 1) * D)];
    const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    // Twenty thousand rows: five deviations of the mean.
    expect(Math.abs(x - value(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))))).toBeLessThan(0.04);
  });
});

const mixer = rfa({ modelWidth: 8, heads: H, causal: false, features: M, pool: 3 });
const x = normal(randomKey(7), [1, T, 8]);
const apply = (params: RfaParams, x: Tensor, training: Tensor, context: { key?: Tensor }) =>
  mixer.apply(
    params,
    { x, state: { training }, view: makeView({ pattern: fullPattern, queries: T, keys: T }) },
    context,
  );

test("training takes matrices of the pool, evaluation the first", async () => {
  const params = mixer.init(randomKey(8));
  const step = compile(
    (params: RfaParams, x: Tensor, training: Tensor, key: Tensor) =>
      apply(params, x, training, { key }).state!.training as Tensor,
    { device },
  );
  let training = mixer.initTrainingState!(randomKey(9)) as Concrete<Drawn>;
  const evaluated = async () =>
    (
      await evaluate(
        (params: RfaParams, x: Tensor, training: Tensor) => apply(params, x, training, {}).y,
        device,
        params,
        x,
        training as never,
      )
    ).toNumbers();
  const first = await evaluated();
  const drawn = new Set<string>();
  for (let pass = 0; pass < 30; pass++) {
    training = (await readTree(await step(params, x, training as never, keyToArray(randomKey(pass))))) as never;
    drawn.add(
      training.matrix
        .toNumbers()
        .slice(0, 4)
        .map((x) => x.toFixed(3))
        .join(),
    );
  }
  expect(drawn.size).toBe(3);
  expect(drawn).toContain(
    training
      .fixed!.toNumbers()
      .slice(0, 4)
      .map((x) => x.toFixed(3))
      .join(),
  );
  expect(await evaluated()).toEqual(first);
});

test("the deviations of the rows are learned", async () => {
  const loss = (params: RfaParams, x: Tensor) =>
    sum(mul(mixer.apply(params, { x, view: makeView({ pattern: fullPattern, queries: T, keys: T }) }, {}).y, x));
  const { gradient } = await readTree(await compile(valueAndGrad(loss), { device })(mixer.init(randomKey(8)), x));
  expect(gradient.own!.deviation.shape).toEqual([H, 4]);
  expect(gradient.own!.deviation.toNumbers().every((x) => x !== 0)).toBe(true);
});
