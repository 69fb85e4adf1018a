import {
  type Concrete,
  compile,
  type DeviceArray,
  evaluate,
  fromNumbers,
  isNdArray,
  mapTree,
  ndarray,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import {
  adaptiveSpanTransformer,
  adaptiveSpanTransformerEntry,
  type SpanScoresParams,
} from "../../src/models/decoders/adaptive-span-transformer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { classifier } from "../../src/objectives/classification.ts";
import { adaptiveSpan } from "../../src/position/adaptive-span.ts";
import { perLayer } from "../../src/position/per-layer.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, layers, heads, length] = [11, 2, 2, 40];
const sizes = { vocabularySize: V, layers, modelWidth: 16, heads, ffnWidth: 24, maxSpan: 24 };
const tokens = fromNumbers(
  Array.from({ length }, (_, i) => (i * i * 3 + i) % V),
  [1, length],
  "int32",
);

/** Shares of the heads of each layer: the first layer looks at 2 + 1 positions at most, the second at 0.4·24 + 2. */
const shares = [
  [0, 0.05],
  [0.4, 0.2],
];

/** Louder parameters, with spans of their own. */
function paramsOf(model: LanguageModel): Concrete<unknown> {
  return mapTree(model.init(randomKey(4)), isNdArray, (array, path) => {
    const [, layer] = /(\d+)\.span$/.exec(path) ?? [];
    return layer === undefined ? louder(array, path) : ndarray(shares[Number(layer)]!);
  }) as Concrete<unknown>;
}

/** Logits of tokens that are read in pieces, memories going from piece to piece where the model has them. */
async function logitsOf(
  model: LanguageModel,
  params: unknown,
  pieces: readonly number[] = [length],
): Promise<number[]> {
  const run = compile(
    (params: never, tokens: Tensor, segment: readonly unknown[] | undefined) => {
      const out = model.apply(params, { tokens, ...(segment && { segment: { layers: segment } }) }, evaluation);
      return { logits: out.logits, segment: out.state.segment };
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<{ logits: DeviceArray; segment: unknown }>;
  let segment: unknown = pieces.length === 1 ? undefined : startSegments(model.layers, 1);
  const found: number[] = [];
  let from = 0;
  for (const count of pieces) {
    const own = fromNumbers(tokens.toNumbers().slice(from, from + count), [1, count], "int32");
    const out = await run(params, own, segment);
    found.push(...(await out.logits.read()).toNumbers());
    segment = out.segment;
    from += count;
  }
  return found;
}

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  expect(Math.max(...found.map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThan(2e-4);
}

describe.each(["of heads", "of queries", "fixed"] as const)("spans %s", (spans) => {
  const ramp = spans === "fixed" ? {} : { ramp: 2 };
  const model: LanguageModel = adaptiveSpanTransformer({ ...sizes, ...ramp, spans }) as LanguageModel;
  const params = paramsOf(model);

  test("read in pieces, it gives what one pass gives, though sequences are longer than memories", async () => {
    const whole = await logitsOf(model, params);
    for (const pieces of [
      [20, 20],
      [7, 3, 30],
    ])
      expectClose(await logitsOf(model, params, pieces), whole);
  });

  test("token by token it gives what one pass gives", async () => {
    const whole = await logitsOf(model, params);
    const decoder = openDecoder(model, params as never, { device, maxLength: length });
    for (let t = 0; t < 30; t++)
      expectClose([...(await decoder.read([tokens.toNumbers()[t]!]))], whole.slice(t * V, (t + 1) * V));
    await decoder.release();
  });
});

const trimmable: readonly (readonly [string, LanguageModel])[] = [
  ["adaptive-span-transformer", adaptiveSpanTransformer({ ...sizes, ramp: 2 }) as LanguageModel],
  [
    "gpt with adaptive spans",
    gpt({
      ...sizes,
      length,
      scheme: { scores: perLayer(adaptiveSpan({ heads, maxSpan: 24, ramp: 2 }), layers) },
    }) as LanguageModel,
  ],
];

describe.each(trimmable)("%s, trimmed to its spans", (name, model) => {
  const params = paramsOf(model);
  const spans = model.spans!(params as never);
  const trimmed = model.trimmed!(spans);

  test("spans are positions that heads see", () => {
    expect(spans).toEqual([
      [2, 4],
      [12, 7],
    ]);
    const [first, second] = trimmed.patterns;
    const itself = name.startsWith("gpt") ? 1 : 0;
    expect(first!.keys(30, length)).toEqual([26, 30 + itself]);
    expect(second!.keys(30, length)).toEqual([18, 30 + itself]);
  });

  test("outputs are the same: in one pass, in pieces, and token by token", async () => {
    const whole = await logitsOf(model, params);
    expectClose(await logitsOf(trimmed, params), whole);
    if (startSegments(model.layers, 1) !== undefined)
      for (const pieces of [
        [20, 20],
        [7, 3, 30],
      ])
        expectClose(await logitsOf(trimmed, params, pieces), whole);
    const decoder = openDecoder(trimmed, params as never, { device, maxLength: length });
    for (let t = 0; t < 30; t++)
      expectClose([...(await decoder.read([tokens.toNumbers()[t]!]))], whole.slice(t * V, (t + 1) * V));
    await decoder.release();
  });

  test("too short spans would change them", async () => {
    const wrong = model.trimmed!(spans.map((own) => own.map(() => 1)));
    const [found, expected] = [await logitsOf(wrong, params), await logitsOf(model, params)];
    expect(Math.max(...found.map((x, i) => Math.abs(x - expected[i]!)))).toBeGreaterThan(1e-2);
  });

  test("with another head, it is trimmed as well", async () => {
    const classified = classifier(model.body, { classes: 3 }) as LanguageModel;
    const own = { ...(classified.init(randomKey(1)) as object), ...(params as object) };
    const run = (model: LanguageModel) =>
      evaluate(
        (params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits,
        device,
        own as never,
        tokens,
      );
    expectSameTrees(await run(classified.trimmed!(classified.spans!(own as never))), await run(classified), 1e-4);
  });
});

test("spans cost their mean, by name, and come back between 0 and 1", async () => {
  const model = adaptiveSpanTransformer({ ...sizes, penalty: 0.5 });
  const params = paramsOf(model as LanguageModel) as ReturnType<typeof model.init>;
  const found = await evaluate(
    (params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).losses,
    device,
    params as never,
    tokens,
  );
  expect(found.span!.item()).toBeCloseTo(0.5 * 24 * (0.025 + 0.3), 4);
  const { scores } = params as unknown as { scores: Concrete<SpanScoresParams> };
  const moved = { ...params, scores: { ...scores, layers: [{ span: ndarray([-1, 2]) }, scores.layers![1]!] } };
  const projected = await evaluate((params: never) => model.project!(params), device, moved as never);
  const { layers } = (projected as unknown as { scores: Concrete<SpanScoresParams> }).scores;
  expect(layers!.map(({ span }) => span.toNumbers().map((x) => Number(x.toFixed(3))))).toEqual([[0, 1], shares[1]]);
});

test("parameters: keys of distances once, a span for each head of each layer, and no bias of projections", () => {
  const [C, F] = [16, 24];
  const block = 4 * C * C + (2 * C * F + F + C) + 4 * C;
  const plain = V * C + layers * block + 24 * (C / heads) + (C * V + V);
  expect(sizeOf(adaptiveSpanTransformer({ ...sizes, spans: "fixed" }).init(randomKey(0)))).toBe(plain);
  expect(sizeOf(adaptiveSpanTransformer(sizes).init(randomKey(0)))).toBe(plain + layers * heads);
  expect(sizeOf(adaptiveSpanTransformer({ ...sizes, spans: "of queries" }).init(randomKey(0)))).toBe(
    plain + layers * (heads * C + heads),
  );
});

test("options that contradict each other", () => {
  expect(() => adaptiveSpanTransformer({ ...sizes, spans: "fixed", penalty: 1e-6, ramp: 4 })).toThrow(
    "adaptive-span-transformer: fixed spans are not learned; leave out ramp and penalty",
  );
  expect(() => adaptiveSpanTransformerEntry.make({ ...sizes, spans: "fixed", startShare: 0.5 })).toThrow(
    "leave out startShare",
  );
  expect(() => adaptiveSpanTransformer({ ...sizes, spans: "of queries", startShare: 0 })).toThrow(
    "adaptive-span-transformer: spans of queries begin with a startShare above 0 and below 1, got 0",
  );
  expect(() => adaptiveSpanTransformer({ ...sizes, heads: 3 })).toThrow("heads");
  expect(() => adaptiveSpanTransformer({ ...sizes, maxSpan: 0 })).toThrow("maxSpan");
});
