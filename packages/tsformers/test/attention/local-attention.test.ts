import { compile, evaluate, type NDArray, ndarray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { makeView, type ViewOptions } from "../../src/attention/core/view.ts";
import { local1d } from "../../src/attention/patterns/local-1d.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { type AttentionParams, attention } from "../../src/attention/softmax/attention.ts";
import { localAttention } from "../../src/attention/softmax/local-attention.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import type { Mixer, Pattern } from "../../src/kinds/index.ts";
import { alibi } from "../../src/position/alibi.ts";
import { rotary } from "../../src/position/rotary.ts";
import { inputs, prepareMixer, sizes } from "./mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const local = (causal: boolean) =>
  prepareMixer(
    {
      member: "local",
      title: "",
      direction: causal ? "causal" : "bidirectional",
      exponent: 1,
      heads: sizes.heads,
      exempt: {},
      load: async () => mixers.local.make({ chunk: 8 }, { ...sizes, causal }),
    },
    device,
  );

const distance = (a: NDArray, b: NDArray): number => {
  const other = b.toNumbers();
  return Math.max(...a.toNumbers().map((x, i) => Math.abs(x - other[i]!)));
};

test.each([1, 8, 63, 100])("is softmax attention over the pattern local-1d, %i positions", async (length) => {
  const { run, params } = await local(true);
  const softmax = attention(sizes);
  const pattern = local1d({ block: 8, causal: true });
  const plain = compile(
    (params: never, x: Tensor) =>
      softmax.apply(params, { x, view: makeView({ pattern, queries: length, keys: length }) }, {}).y,
    { device },
  );
  const x = inputs(length);
  expect(distance((await run(x)).y, await (await plain(params, x)).read())).toBeLessThan(1e-5);
});

test("sees nothing of the chunk after its own when not causal", async () => {
  const { run } = await local(false);
  const x = inputs(24);
  const [a, b] = [x, inputs(24, 2)].map((one) => one.toNumbers());
  const changed = inputs(24);
  for (let i = 16 * sizes.modelWidth; i < a!.length; i++) (changed.data as Float32Array)[i] = b![i]!;
  const [before, after] = [(await run(x)).y.toNumbers(), (await run(changed)).y.toNumbers()];
  expect(after.slice(0, 16 * sizes.modelWidth)).toEqual(before.slice(0, 16 * sizes.modelWidth));
  expect(after.at(-1)).not.toBe(before.at(-1));
});

test.each([
  [8, 5],
  [16, 5],
  [24, 8],
  [24, 21],
  [16, 21],
  [8, 30],
])("wrapping at multiples of %i, the first chunk of %i positions looks at the last", async (multiple, length) => {
  const options = { ...sizes, causal: false, chunk: 8, wraps: multiple };
  const [wrapped, softmax] = [localAttention(options), attention({ ...sizes })];
  const params = wrapped.init(randomKey(1));
  const last = multiple * Math.ceil(length / multiple) - 8;
  const chunkOf = (position: number): number => Math.floor(position / 8);
  const isSeen = (query: number, key: number): boolean =>
    [chunkOf(query), chunkOf(query) - 1].includes(chunkOf(key)) || (query < 8 && key >= last);
  const runs = (query: number): number[] => {
    const seen = Array.from({ length }, (_, key) => isSeen(query, key));
    return seen.flatMap((here, key) => [
      ...(here && !seen[key - 1] ? [key] : []),
      ...(here && !seen[key + 1] ? [key + 1] : []),
    ]);
  };
  const pass = (mixer: Mixer<AttentionParams>, pattern: Pattern) => (params: AttentionParams, x: Tensor) =>
    mixer.apply(params, { x, view: makeView({ pattern, queries: length, keys: length }) }, {}).y;
  const x = inputs(length);
  const found = await evaluate(pass(wrapped, fullPattern), device, params, x as never);
  const expected = await evaluate(pass(softmax, { name: "by hand", keys: runs }), device, params, x as never);
  expect(distance(found, expected)).toBeLessThan(1e-5);
});

test("decodes with two chunks of keys, however long the sequence", async () => {
  const { run, decode, mixer } = await local(true);
  const x = inputs(100, 3, 2);
  expect(distance(await decode(x), (await run(x)).y)).toBeLessThan(1e-5);
  const state = mixer.recurrent!.start(2, 10_000) as { key: NDArray };
  expect(state.key.shape).toEqual([2, sizes.heads, 16, sizes.modelWidth / sizes.heads]);
});

const views: [string, Partial<ViewOptions>][] = [
  ["rotary positions", { rotation: rotary(sizes.modelWidth / sizes.heads) }],
  ["alibi", { scores: (positions) => alibi(sizes.heads).prepare({}, positions) }],
];

test.each(views)("takes %s, one by one as in one pass", async (_, view) => {
  const { mixer, params, run } = await local(true);
  const length = 40;
  const x = inputs(length);
  const whole = (await run(x, { view })).y.toNumbers();
  const step = compile(
    (params: never, x: Tensor, state: never, position: Tensor) => {
      const own = makeView({
        pattern: { name: "any", keys: () => [] },
        queries: 1,
        keys: 1,
        offset: position,
        ...view,
      });
      return mixer.recurrent!.step(params, x, state, { position, view: own });
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ y: { read(): Promise<NDArray> }; state: unknown }>;
  let state: unknown = mixer.recurrent!.start(1, length);
  for (let t = 0; t < length; t++) {
    const at = x.toNumbers().slice(t * sizes.modelWidth, (t + 1) * sizes.modelWidth);
    const found = await step(params, ndarray(at, [1, 1, sizes.modelWidth]), state, ndarray(t, [], "int32"));
    state = found.state;
    const y = (await found.y.read()).toNumbers();
    y.forEach((value, i) => {
      expect(Math.abs(value - whole[t * sizes.modelWidth + i]!), `at ${t}`).toBeLessThan(1e-5);
    });
  }
});
