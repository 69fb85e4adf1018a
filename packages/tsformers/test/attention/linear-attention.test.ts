import {
  cast,
  compile,
  convert,
  evaluate,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  square,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { plus } from "../../src/attention/kernel/denominator.ts";
import { eluPlusOne, exponential, mapped, rectified } from "../../src/attention/kernel/feature-map.ts";
import { kernelAttention } from "../../src/attention/kernel/kernel-attention.ts";
import { linearAttention } from "../../src/attention/kernel/linear-attention.ts";
import { causal as causalPattern } from "../../src/attention/patterns/pattern.ts";
import { rotary } from "../../src/position/rotary.ts";

const device = await openCpu();
const [T, D] = [11, 4];
const [q, k, v] = [1, 2, 3].map((seed) => normal(randomKey(seed), [1, 1, T, D])) as [NDArray, NDArray, NDArray];
const elu = (x: number) => (x > 0 ? x + 1 : Math.exp(x));

test("elu + 1 and its slope", async () => {
  const at = ndarray([-30, -2, -0.5, 0, 0.5, 3]);
  const { value, gradient } = await readTree(
    await compile(
      valueAndGrad((x: Tensor) => sum(square(eluPlusOne.query(x).features))),
      { device },
    )(at),
  );
  expect(value.item()).toBeCloseTo(
    at.toNumbers().reduce((sum, x) => sum + elu(x) ** 2, 0),
    4,
  );
  const slopes = at.toNumbers().map((x) => 2 * elu(x) * Math.min(1, Math.exp(x)));
  gradient.toNumbers().forEach((x, i) => void expect(x).toBeCloseTo(slopes[i]!, 5));
});

test("other features", async () => {
  const at = ndarray([-1, 2]);
  expect((await evaluate((x: Tensor) => rectified(0.5).query(x).features, device, at)).toNumbers()).toEqual([0.5, 2.5]);
  const { features, height } = await evaluate((x: Tensor) => exponential.key(x), device, at);
  const raised = features.toNumbers().map((x) => x * Math.exp(height!.item()));
  raised.forEach((x, i) => void expect(x).toBeCloseTo(Math.exp([-1, 2][i]!), 5));
});

test("rotary positions turn features in the numerator only", async () => {
  const run = (q: Tensor, k: Tensor, v: Tensor) => {
    const { rotate } = makeView({ pattern: causalPattern, queries: T, keys: T, rotation: rotary(D) });
    const { query, key } = mapped(eluPlusOne, q, k);
    const turned = { query: rotate!.query(query), key: rotate!.key(key) };
    return kernelAttention({ query, key, turned }, v, { causal: true, denominator: plus(1e-6), chunk: 4 }).mixed;
  };
  const found = (await evaluate(run, device, q, k, v)).toNumbers();
  const row = (array: NDArray, t: number) => array.toNumbers().slice(t * D, (t + 1) * D);
  const turn = (x: number[], t: number) => {
    const angle = (pair: number) => t * 10_000 ** ((-2 * pair) / D);
    return x.map((_, i) => {
      const [pair, other] = [i % 2, x[(i + 2) % D]! * (i < 2 ? -1 : 1)];
      return x[i]! * Math.cos(angle(pair)) + other * Math.sin(angle(pair));
    });
  };
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  for (let t = 0; t < T; t++) {
    const phi = row(q, t).map(elu);
    const seen = Array.from({ length: t + 1 }, (_, s) => ({ phi: row(k, s).map(elu), v: row(v, s), s }));
    const weights = seen.reduce((sum, key) => sum + dot(phi, key.phi), 1e-6);
    for (let d = 0; d < D; d++) {
      const values = seen.reduce((sum, key) => sum + dot(turn(phi, t), turn(key.phi, key.s)) * key.v[d]!, 0);
      expect(found[t * D + d]).toBeCloseTo(values / weights, 4);
    }
  }
});

test("a model in float16 mixes in float32 and goes on in float16", async () => {
  const mixer = linearAttention({ modelWidth: 8, heads: 2, causal: true, chunk: 4 });
  const params = mixer.init(randomKey(5));
  const x = normal(randomKey(6), [1, T, 8]);
  const view = () => makeView({ pattern: causalPattern, queries: T, keys: T });
  const narrow = (params: Parameters<typeof mixer.apply>[0], x: Tensor) => {
    const half = (own: { weight: Tensor; bias?: Tensor }) => ({
      weight: cast(own.weight, "float16"),
      bias: cast(own.bias!, "float16"),
    });
    const halves = {
      query: half(params.query),
      key: half(params.key),
      value: half(params.value),
      out: half(params.out),
    };
    return mixer.apply(halves, { x: cast(x, "float16"), view: view() }, {}).y;
  };
  const [wide, half] = [
    await evaluate(
      (params: Parameters<typeof mixer.apply>[0], x: Tensor) => mixer.apply(params, { x, view: view() }, {}).y,
      device,
      params,
      x,
    ),
    await evaluate(narrow, device, params, x),
  ];
  expect(half.dtype).toBe("float16");
  // Eleven bits, of outputs of order 0.01.
  convert(half, "float32")
    .toNumbers()
    .forEach((x, i) => void expect(Math.abs(x - wide.toNumbers()[i]!)).toBeLessThan(1e-4));
});
