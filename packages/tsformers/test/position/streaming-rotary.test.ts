import {
  type Concrete,
  compile,
  evaluate,
  fromNumbers,
  isNdArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { attend } from "../../src/attention/core/executor.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { reachOf } from "../../src/attention/patterns/reach.ts";
import { windowWithSinks } from "../../src/attention/patterns/sinks.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { rotary } from "../../src/position/rotary.ts";
import { streamingRotary } from "../../src/position/streaming-rotary.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { sinks: 3, before: 6 };
const width = 8;

/** Turned by an angle in proportion to a place, feature i together with feature i + width / 2. */
function turned(x: readonly number[], place: number): number[] {
  const half = width / 2;
  return x.map((value, i) => {
    const angle = place * 10_000 ** ((-2 * (i % half)) / width);
    return i < half
      ? value * Math.cos(angle) - x[i + half]! * Math.sin(angle)
      : value * Math.cos(angle) + x[i - half]! * Math.sin(angle);
  });
}

/** One query after the other with a rolling cache of unturned keys, which are turned by their rank in it. */
function rolling(q: number[][], k: number[][], v: number[][], cap?: number): number[] {
  const seen: number[] = [];
  return q.flatMap((query, t) => {
    seen.push(t);
    if (seen.length > sizes.sinks + sizes.before + 1) seen.splice(sizes.sinks, 1);
    const own = turned(query, seen.length - 1);
    const logits = seen.map((s, rank) => {
      const z = turned(k[s]!, rank).reduce((total, x, i) => total + x * own[i]!, 0) * 0.5;
      return cap === undefined ? z : cap * Math.tanh(z / cap);
    });
    const raised = logits.map(Math.exp);
    const total = raised.reduce((a, b) => a + b);
    return v[0]!.map((_, i) => seen.reduce((sum, s, rank) => sum + (raised[rank]! / total) * v[s]![i]!, 0));
  });
}

test.each([
  [40, undefined, {}],
  [100, 0.7, {}],
  [100, undefined, { queriesPerBlock: 16, keptPairs: 0 }],
])("equals a rolling cache that turns keys by their rank (%i positions, cap %s, %j)", async (length, cap, options) => {
  const [q, k, v] = [1, 2, 3].map((seed) => normal(randomKey(seed), [1, 1, length, width])) as [
    NDArray,
    NDArray,
    NDArray,
  ];
  const run = (q: Tensor, k: Tensor, value: Tensor) => {
    const { rotation, scores } = streamingRotary({ headWidth: width, ...sizes });
    const view = makeView({
      pattern: windowWithSinks(sizes),
      queries: length,
      keys: length,
      rotation,
      scores: (at) => scores.prepare({}, at),
      ...options,
    });
    const entries = { key: view.rotate!.key(k), value };
    const own = { view, scale: 0.5, context: evaluation, ...(cap !== undefined && { cap }) };
    return attend(view.rotate!.query(q), entries, own).mixed;
  };
  const rows = ({ data }: NDArray) =>
    Array.from({ length }, (_, t) => [...(data as Float32Array).subarray(t * width, (t + 1) * width)]);
  const found = ((await evaluate(run, device, q, k, v)) as unknown as NDArray).toNumbers();
  const expected = rolling(rows(q), rows(k), rows(v), cap);
  expect(Math.max(...found.map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThan(2e-5);
});

test("a model reads on for many times its cache, and keeps no more than that", async () => {
  const [V, length] = [11, 150];
  const pattern = windowWithSinks(sizes);
  expect(reachOf(pattern, length)).toEqual({ window: 6, pinned: [0, 1, 2], isWindow: false });
  const make = (scheme: object) =>
    gpt({ vocabularySize: V, layers: 2, modelWidth: 16, heads: 2, length: 1, scheme, pattern });
  const model = make(streamingRotary({ headWidth: width, ...sizes }));
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array: NDArray) =>
    array.shape.length < 2
      ? array
      : fromNumbers(
          array.toNumbers().map((x) => 8 * x),
          array.shape,
        ),
  ) as Concrete<never>;
  const tokens = Array.from({ length }, (_, i) => (i * i + 3 * i + 1) % V);
  const passOf = async (of: typeof model) => {
    const pass = compile((params: never, tokens: Tensor) => of.apply(params, { tokens }, evaluation).logits, {
      device,
    });
    return (await readTree(await pass(params, fromNumbers(tokens, [1, length], "int32")))).toNumbers();
  };
  const whole = await passOf(model);
  const decoder = openDecoder(model, params, { device, maxLength: length });
  await decoder.read(tokens.slice(0, 30));
  for (let t = 30; t < length; t++) {
    const found = await decoder.read([tokens[t]!]);
    expect(Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!))), `position ${t}`).toBeLessThan(2e-4);
  }
  await decoder.release();
  // Until the cache is full, places in it are those of the text; from then on they are not.
  const absolute = await passOf(make({ rotation: rotary(width) }));
  const full = sizes.sinks + sizes.before + 1;
  const apart = (from: number, to: number) =>
    Math.max(...whole.slice(from * V, to * V).map((x, i) => Math.abs(x - absolute[from * V + i]!)));
  expect(apart(0, full)).toBeLessThan(1e-5);
  expect(apart(full, length)).toBeGreaterThan(1e-3);
});
