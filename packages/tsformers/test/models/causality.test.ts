import { evaluate, fromNumbers, isNdArray, mapTree, NDArray, randomKey, type Tensor, zeros } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { headsBeside } from "../../src/attention/core/side-by-side.ts";
import type { MixerEntry } from "../../src/attention/index.ts";
import { causalPart } from "../../src/attention/patterns/causal-part.ts";
import { intersection, union } from "../../src/attention/patterns/combine.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import type { PatternEntry } from "../../src/attention/patterns/index.ts";
import { causal, denseMask, fullPattern, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { preNormBlock } from "../../src/blocks/block.ts";
import { preNormCrossBlock } from "../../src/blocks/cross-block.ts";
import { gatedBlock } from "../../src/blocks/gated-block.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { models } from "../../src/catalogue/models.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { recomputed } from "../../src/depth/recomputed.ts";
import { type ReversibleBlock, reversible, reversibleBlock } from "../../src/depth/reversible.ts";
import type { LayerPatterns, Mixer, ScoreMod } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { decisionTransformerParts } from "../../src/models/agents/decision-transformer.ts";
import { type DecoderParts, decoder } from "../../src/models/decoder.ts";
import { adaptiveSpanTransformerParts } from "../../src/models/decoders/adaptive-span-transformer.ts";
import { alRfouParts } from "../../src/models/decoders/al-rfou.ts";
import { bloomParts } from "../../src/models/decoders/bloom.ts";
import { compressiveTransformerParts } from "../../src/models/decoders/compressive-transformer.ts";
import { ctrlParts } from "../../src/models/decoders/ctrl.ts";
import { gemma2Parts } from "../../src/models/decoders/gemma2.ts";
import { gpt, gptParts } from "../../src/models/decoders/gpt.ts";
import { gptNeoXParts } from "../../src/models/decoders/gpt-neox.ts";
import { gptJParts } from "../../src/models/decoders/gptj.ts";
import { gtrxlParts } from "../../src/models/decoders/gtrxl.ts";
import { llamaParts } from "../../src/models/decoders/llama.ts";
import { memorizingTransformerParts } from "../../src/models/decoders/memorizing-transformer.ts";
import { mistralParts } from "../../src/models/decoders/mistral.ts";
import { mptParts } from "../../src/models/decoders/mpt.ts";
import { openAiGptParts } from "../../src/models/decoders/openai-gpt.ts";
import { qwen3Parts } from "../../src/models/decoders/qwen3.ts";
import { qwen3NextParts } from "../../src/models/decoders/qwen3-next.ts";
import { reformerParts } from "../../src/models/decoders/reformer.ts";
import { spalmParts } from "../../src/models/decoders/spalm.ts";
import { sparseTransformerParts } from "../../src/models/decoders/sparse-transformer.ts";
import { tDmcaParts } from "../../src/models/decoders/t-dmca.ts";
import { transformerXlParts } from "../../src/models/decoders/transformer-xl.ts";
import { universalTransformerParts } from "../../src/models/decoders/universal-transformer.ts";
import { type EncoderDecoderParams, encoderDecoder } from "../../src/models/encoder-decoder.ts";
import { t5Parts } from "../../src/models/encoder-decoders/t5.ts";
import { transformerParts } from "../../src/models/encoder-decoders/transformer.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { mlp, relu } from "../../src/nn/feed-forward.ts";
import { gruGate } from "../../src/nn/gate.ts";
import { linearHead } from "../../src/nn/head.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { adaptiveSpan } from "../../src/position/adaptive-span.ts";
import { learnedPerLayer } from "../../src/position/learned-per-layer.ts";
import { perLayer } from "../../src/position/per-layer.ts";

const V = 13;
const sizes = { modelWidth: 12, heads: 3, length: 16 };
const options = { ...sizes, vocabularySize: V, layers: 2, ffnWidth: 24 };

const device = await openCpu();
afterAll(() => device.close());

const tokens = Array.from({ length: sizes.length }, (_, i) => (i * i * 7 + 3 * i + 1) % V);

/** Logits of the tokens, and of the same with another one at `at`: by row and position. */
async function logitsOf(model: LanguageModel<never>, at: number): Promise<number[][][]> {
  const params = mapTree(model.init(randomKey(5)), isNdArray, louder) as never;
  const rows = [tokens, tokens.with(at, (tokens[at]! + 1) % V)];
  const both = fromNumbers(rows.flat(), [2, sizes.length], "int32");
  const run = (params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
  const found = ((await evaluate(run, device, params, both)) as unknown as NDArray).toNumbers();
  return rows.map((_, b) =>
    tokens.map((_, t) => found.slice((b * sizes.length + t) * V, (b * sizes.length + t + 1) * V)),
  );
}

/** Initial weights of 0.02 would let everything look alike. */
function louder(array: NDArray): NDArray {
  if (array.shape.length < 2) return array;
  return new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 8 * x),
  );
}

const at = 9;

/**
 * Fails where the token at {@link at} changes logits before it; gives the logits of the unchanged tokens.
 *
 * Rows of one batch go through the same products: what does not depend on the token has the same bits, unless a mixer sorts positions.
 */
async function expectCausal(model: LanguageModel<never>, rounding = 0): Promise<number[][]> {
  const [a, b] = await logitsOf(model, at);
  expect(distance(b!.slice(0, at), a!.slice(0, at))).toBeLessThanOrEqual(rounding);
  expect(b!.slice(at)).not.toEqual(a!.slice(at));
  return a!;
}

function distance(a: number[][], b: number[][]): number {
  const other = b.flat();
  return Math.max(...a.flat().map((x, i) => Math.abs(x - other[i]!)));
}

/** Whether all layers and heads see just what came before. */
function isCausalFull(pattern: LayerPatterns): boolean {
  const whole = denseMask(causal, sizes.length).data;
  return [0, 1].every((layer) => {
    const own = denseMask(causalPart(pattern(layer), sizes.length), sizes.length).data;
    return own.every((cell, i) => cell === whole[i % whole.length]);
  });
}

const everyPattern = Object.entries<PatternEntry>(patterns).flatMap(([name, entry]) =>
  entry.directions.map((direction): [string, () => LayerPatterns] => [
    `${name}, ${direction}`,
    () => entry.make({}, { length: sizes.length, heads: 3, layers: 2, causal: direction === "causal" }),
  ]),
);

const decoders: Readonly<Record<string, (given: typeof options) => DecoderParts>> = {
  gpt: gptParts,
  "openai-gpt": openAiGptParts,
  bloom: bloomParts,
  mpt: mptParts,
  gptj: gptJParts,
  "gpt-neox": gptNeoXParts,
  ctrl: ctrlParts,
  llama: llamaParts,
  // Their own patterns are windows: here all there is.
  mistral: (given) => mistralParts({ ...given, window: 64 }),
  gemma2: (given) => gemma2Parts({ ...given, window: 64, cap: 50, outputCap: 30 }),
  qwen3: qwen3Parts,
  // All of its layers attend.
  "qwen3-next": (given) => qwen3NextParts({ ...given, attends: () => true }),
  "al-rfou": alRfouParts,
  spalm: (given) => spalmParts({ ...given, memoryLength: 4 }),
  "transformer-xl": (given) => transformerXlParts({ ...given, memoryLength: 4 }),
  "decision-transformer": decisionTransformerParts as (given: typeof options) => DecoderParts,
  // Its own pattern is a window: here all there is.
  gtrxl: (given) => gtrxlParts({ ...given, memoryLength: 16 }),
  "compressive-transformer": (given) =>
    compressiveTransformerParts({ ...given, memoryLength: 4, compressedLength: 3, compressionRate: 2 }),
  "memorizing-transformer": (given) =>
    memorizingTransformerParts({ ...given, memoryLength: 4, lookup: { entries: 8, neighbours: 3 } }),
  "universal-transformer": (given) => universalTransformerParts(given) as DecoderParts,
};

/** Those whose mixers read no pattern, or which have one of their own. */
const others: typeof decoders = {
  // Its output matrix begins as 0.
  "sparse-transformer": (given) => ({
    ...sparseTransformerParts({ ...given, factors: { kind: "fixed", summary: 1 }, stride: 4 }),
    head: linearHead(sizes.modelWidth, V),
  }),
  "t-dmca": (given) => tDmcaParts({ ...given, block: 4, factor: 2 }),
  "adaptive-span-transformer": (given) => adaptiveSpanTransformerParts({ ...given, maxSpan: 8, startShare: 0.5 }),
};

/** Those that sort positions. */
const chunked: typeof decoders = {
  reformer: (given) => reformerParts({ ...given, lsh: { chunk: 4 }, localChunk: 4 }),
};

test("every decoder of the catalogue is here", () => {
  const listed = Object.entries(models).filter(([, { category }]) => category === "decoder");
  expect([...Object.keys(decoders), ...Object.keys(others), ...Object.keys(chunked)].sort()).toEqual(
    listed.map(([name]) => name).sort(),
  );
});

describe.each(Object.entries(decoders))("%s", (name, parts) => {
  const plain = logitsOf(decoder(parts(options)) as LanguageModel<never>, at);

  // One model takes all patterns; the others make their views in the same place, and take a few that differ in kind.
  const some = /^(full|window|axial|longformer), bidirectional/;
  test.each(name === "gpt" ? everyPattern : everyPattern.filter(([title]) => some.test(title)))(
    "is causal with the pattern %s, which has an effect unless it shows all that came before",
    async (_, make) => {
      const pattern = make();
      const found = await expectCausal(decoder({ ...parts(options), pattern }) as LanguageModel<never>);
      const change = distance(found, (await plain)[0]!);
      if (isCausalFull(pattern)) expect(change).toBeLessThan(1e-5);
      else expect(change).toBeGreaterThan(1e-3);
    },
  );
});

describe.each(Object.entries({ ...decoders, ...others, ...chunked }))("%s as it is", (name, parts) => {
  test("is causal", async () => {
    // Positions that are sorted meet in other products.
    await expectCausal(decoder(parts(options)) as LanguageModel<never>, name in chunked ? 2e-6 : 0);
  });

  test("refuses a mixer that is not causal, naming it and its layer", async () => {
    const block = { mixer: { name: "looker", sees: "all" as const }, init: () => ({}), apply: () => ({}) as never };
    const made = parts(options);
    const layers = [made.depth.layers[0]!, block];
    expect(() => decoder({ ...made, depth: { ...made.depth, layers } })).toThrow(
      `${name}: looker, the mixer of layer 1, is not causal`,
    );
  });
});

describe("the causal part of a pattern", () => {
  test("is the pattern itself where it shows nothing ahead, and one value otherwise", () => {
    const window = slidingWindow({ before: 3, after: 0 });
    expect(causalPart(window, 16)).toBe(window);
    expect(causalPart(causal, 16)).toBe(causal);
    expect(causalPart(fullPattern, 16)).toBe(causal);
    const ahead = slidingWindow({ before: 3, after: 2 });
    expect(causalPart(ahead, 16)).toBe(causalPart(ahead, 16));
    expect(causalPart(ahead, 16)).toBe(causalPart(ahead, 9));
    // What shows nothing ahead at one length may do so at another.
    const depends: Pattern = { name: "depends", keys: (query, length) => [0, length > 8 ? length : query + 1] };
    expect([causalPart(depends, 8), causalPart(depends, 9).name]).toEqual([depends, "depends and causal"]);
  });

  test.each(everyPattern)("%s: what it shows of the past", (_, make) => {
    const pattern = make()(0);
    const found = denseMask(causalPart(pattern, 16), 16);
    expect(found.data).toEqual(denseMask(intersection(pattern, causal), 16).data);
  });

  test("the pattern of docs/patterns.md, two-sided, is taken as it looks back", async () => {
    const pattern = union(slidingWindow({ before: 4, after: 4 }), globalTokens({ positions: [0], causal: false }));
    const back = union(slidingWindow({ before: 4, after: 0 }), globalTokens({ positions: [0], causal: true }));
    const [a, b] = [
      await expectCausal(gpt({ ...options, pattern }) as never),
      await expectCausal(gpt({ ...options, pattern: back }) as never),
    ];
    expect(distance(a, b)).toBeLessThan(1e-5);
  });
});

/** Softmax and differential attention read the pattern, and are as causal as that. */
const readers = new Set(["softmax", "differential"]);
const everyMixer = Object.entries<MixerEntry>(mixers).flatMap(([name, entry]) =>
  (readers.has(name) ? [] : entry.directions).map((direction) => [name, direction, entry] as const),
);
const small: Readonly<Record<string, object>> = {
  etc: { globals: 2, radius: 3, furthestLabel: 2 },
  longformer: { window: 4 },
  lsh: { chunk: 8 },
  local: { chunk: 4 },
  linformer: { slots: 4 },
  "induced-set": { points: 4 },
};

const made = (name: string, entry: MixerEntry, isCausal: boolean) =>
  entry.make(small[name] ?? {}, { ...sizes, causal: isCausal });

test.each(everyMixer.filter(([, direction]) => direction === "bidirectional"))(
  "%s, %s: refused in a causal model at once",
  async (name, _, entry) => {
    const mixer = made(name, entry, false);
    expect(() => gpt({ ...options, mixer: () => mixer })).toThrow(`gpt: ${mixer.name}, the mixer of layer 0`);
  },
);

describe.each(everyMixer.filter(([, direction]) => direction === "causal"))("%s, %s", (name, _, entry) => {
  // Positions are sorted by cluster: the same sums stand in other rows of a product.
  const rounding = name === "routing" ? 2e-6 : 0;

  test("is causal in a model", async () => {
    const mixer = made(name, entry, true);
    await expectCausal(gpt({ ...options, mixer: () => mixer }) as never, rounding);
  });

  test("takes a pattern only beside a layer that reads it", async () => {
    const mixer = made(name, entry, true);
    const pattern = slidingWindow({ before: 1, after: 0 });
    const softmax = attention(sizes);
    expect(() => gpt({ ...options, mixer: () => mixer, pattern })).toThrow(
      `gpt: a pattern does nothing with ${mixer.name}`,
    );
    const hybrid = (given: object) => gpt({ ...options, mixer: (layer) => (layer === 0 ? mixer : softmax), ...given });
    const [seen, all] = [
      await expectCausal(hybrid({ pattern }) as never, rounding),
      await expectCausal(hybrid({}) as never, rounding),
    ];
    expect(distance(seen, all)).toBeGreaterThan(1e-3);
  });
});

describe("forms of mechanisms in which later tokens have a say", () => {
  test.each([
    ["lsh", { sees: "chunks" }, "lsh attention"],
    ["routing", { members: "balanced" }, "routing"],
    ["routing", { members: "balanced", localHeads: 1 }, "local attention beside routing"],
    ["sinkhorn", { columns: "whole" }, "sinkhorn"],
  ] as const)("%s %j is refused", async (name, given, called) => {
    const mixer = entryOf<MixerEntry>(mixers, name).make(given, { ...sizes, causal: true });
    expect(() => gpt({ ...options, mixer: () => mixer })).toThrow(
      `gpt: ${called}, the mixer of layer 0, is not causal`,
    );
  });
});

describe("what wraps a mixer says what it sees", async () => {
  const linear = mixers.linear.make({}, { ...sizes, causal: true });
  const both = mixers.linear.make({}, { ...sizes, causal: false });
  const rest = { modelWidth: 12, norm: layerNorm(), ffn: mlp({ modelWidth: 12, ffnWidth: 24, activation: relu }) };
  const softmax = attention(sizes) as Mixer;

  test.each([
    ["pre-norm", preNormBlock],
    ["gated", (parts) => gatedBlock({ ...parts, gate: gruGate({ modelWidth: 12 }) })],
    ["recomputed", (parts) => recomputed(preNormBlock(parts))],
    ["reversible", reversibleBlock],
    ["cross", (parts) => preNormCrossBlock({ ...parts, cross: attention(sizes) })],
  ] as [string, (parts: Parameters<typeof preNormBlock>[0]) => { mixer: unknown }][])("%s block", (_, make) => {
    for (const mixer of [linear, both, softmax]) {
      expect(make({ ...rest, mixer } as never).mixer).toEqual({ name: mixer.name, sees: mixer.sees });
    }
  });

  test("side by side, the widest of them", () => {
    expect(headsBeside({ a: linear, b: softmax }).sees).toBe("pattern");
    expect(headsBeside({ a: linear, b: both, c: softmax }).sees).toBe("all");
    expect(headsBeside({ a: linear }).sees).toBe("earlier");
  });

  test("the decoder of an encoder-decoder refuses what is not causal; its encoder does not", () => {
    const block = preNormCrossBlock({ ...rest, mixer: both, cross: attention(sizes) });
    for (const parts of [transformerParts(options), t5Parts(options)]) {
      expect(() => encoderDecoder({ ...parts, decoder: [block] })).toThrow("linear attention, the mixer of layer 0");
      encoderDecoder({ ...parts, encoder: [preNormBlock({ ...rest, mixer: both })] });
    }
  });
});

describe("nothing that was set is ignored", () => {
  const linear = () => mixers.linear.make({}, { ...sizes, causal: true });

  test("scale beside a mixer", async () => {
    const mixer = await linear();
    expect(() => gpt({ ...options, mixer: () => mixer, scale: () => 1 })).toThrow("gpt: scale");
  });

  test("what is no mixer, or does not say what it sees", async () => {
    expect(() => gpt({ ...options, mixer: () => Promise.resolve(linear()) as never })).toThrow(
      "layer 0, got a promise; await it",
    );
    const { sees: _, ...silent } = linear();
    expect(() => gpt({ ...options, mixer: () => silent as never })).toThrow("without name, sees and apply");
  });

  test.each(["source", "target"] as const)("the penalty of %s scores of an encoder-decoder", async (side) => {
    const scores = perLayer(adaptiveSpan({ heads: 3, maxSpan: 8, startShare: 0.5, penalty: 3 }), 2) as ScoreMod;
    const model = encoderDecoder({ ...t5Parts(options), [`${side}Scores`]: scores });
    const params = model.init(randomKey(5));
    const penalties = (params: EncoderDecoderParams, tokens: Tensor) => {
      const encoded = model.encode(params, { tokens }, evaluation);
      const decoded = model.decode(params, { tokens, encoded }, evaluation);
      return { source: encoded.losses.span ?? zeros([]), target: decoded.losses.span ?? zeros([]) };
    };
    const found = await evaluate(penalties, device, params as never, fromNumbers(tokens, [1, tokens.length], "int32"));
    // In each of two layers: 3 × 8 × 0.5.
    expect(found[side].item()).toBeCloseTo(24, 4);
    expect(found[side === "source" ? "target" : "source"].item()).toBe(0);
  });

  test("vectors for the input of each layer, in a reversible stack", async () => {
    const rest = { modelWidth: 12, norm: layerNorm(), ffn: mlp({ modelWidth: 12, ffnWidth: 24, activation: relu }) };
    const block = reversibleBlock({ ...rest, mixer: attention(sizes) });
    const model = decoder({
      ...gptParts(options),
      depth: reversible([block as ReversibleBlock]),
      layerPositions: learnedPerLayer(1, 16, 12),
    });
    await expect(logitsOf(model as never, 0)).rejects.toThrow("reversible: takes no vectors");
  });
});
