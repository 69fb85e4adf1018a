import {
  add,
  type Concrete,
  cast,
  compile,
  constant,
  fromNumbers,
  iota,
  keyToArray,
  mean,
  mul,
  type NDArray,
  ndarray,
  type RandomKey,
  randomKey,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import type { MixerEntry } from "../../src/attention/index.ts";
import { perHead, union } from "../../src/attention/patterns/combine.ts";
import type { PatternEntry } from "../../src/attention/patterns/index.ts";
import { type AttentionParams, attention } from "../../src/attention/softmax/attention.ts";
import { type Block, type BlockParts, parallelBlock, postNormBlock, preNormBlock } from "../../src/blocks/block.ts";
import { gatedBlock } from "../../src/blocks/gated-block.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { models } from "../../src/catalogue/models.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { recomputed } from "../../src/depth/recomputed.ts";
import { meanOfStreams, type ReversibleBlock, reversible, reversibleBlock } from "../../src/depth/reversible.ts";
import { blockStack } from "../../src/depth/stack.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { decoder } from "../../src/models/decoder.ts";
import { gpt, gptParts } from "../../src/models/decoders/gpt.ts";
import { encoder } from "../../src/models/encoder.ts";
import { bertParts } from "../../src/models/encoders/bert.ts";
import type { ModelEntry } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { auxiliaryLosses } from "../../src/nn/auxiliary-losses.ts";
import { chunkedFeedForward } from "../../src/nn/chunked.ts";
import { crossEntropies } from "../../src/nn/cross-entropy.ts";
import { type EmbeddingParams, embedding } from "../../src/nn/embedding.ts";
import { gatedMlp, geluTanh, mlp, relu, silu } from "../../src/nn/feed-forward.ts";
import { gruGate, highwayGate, inputGate, outputGate, residualGate, sigTanhGate } from "../../src/nn/gate.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { layerNorm, rmsNorm } from "../../src/nn/norm.ts";
import type { LossFunction } from "../../src/objectives/objective.ts";
import { pictureObjective } from "../../src/objectives/pictures.ts";
import { sequenceToSequenceObjective } from "../../src/objectives/sequence-to-sequence.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { dynamicSpan } from "../../src/position/dynamic-span.ts";
import type { PositionEntry } from "../../src/position/index.ts";
import { lossScale } from "../../src/train/loss-scale.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { trainStep } from "../../src/train/step.ts";
import { pictureCases } from "../pictures/picture-cases.ts";

const V = 11;
const length = 16;
const sizes = { layers: 1, modelWidth: 16, heads: 2, length };
const options = { ...sizes, vocabularySize: V };
const symbols = (step: number) =>
  fromNumbers(
    Array.from({ length: 2 * length }, (_, i) => (3 * i + step) % V),
    [2, length],
    "int32",
  );
const ones = (padded: number) =>
  fromNumbers(
    Array.from({ length: 2 * length }, (_, i) => (i >= 2 * length - padded ? 0 : 1)),
    [2, length],
  );
const batch = {
  inputs: symbols(0),
  targets: symbols(3),
  weights: ones(0),
  source: symbols(5),
  sourceWeights: ones(5),
};
type Symbols = Readonly<Record<keyof typeof batch, Tensor>>;

const device = await openCpu();
afterAll(() => device.close());

/** What is trained: parameters, and a loss over {@link batch}. */
type Case = { init(key: ReturnType<typeof randomKey>): unknown; readonly loss: LossFunction<never, never> };

async function lossesOf({ init, loss }: Case, float16: boolean): Promise<number[]> {
  const step = trainStep({
    loss: loss as LossFunction<unknown, typeof batch>,
    optimiser: adamw(),
    ...(float16 && { float16: lossScale({ initial: 2 ** 8 }) }),
  });
  const update = compile(step.update, { device });
  let state: Parameters<typeof update>[0] = step.init(init(randomKey(1)) as Concrete<unknown>) as never;
  const control = { learningRate: fromNumbers([1e-2], []), key: keyToArray(randomKey(0)) };
  const seen: number[] = [];
  for (let i = 0; i < 3; i++) {
    const result = await update(state, batch as never, control as never);
    state = result.state as never;
    const { loss, gradientNorm } = result.metrics as unknown as Record<string, { read(): Promise<NDArray> }>;
    seen.push((await loss!.read()).item());
    expect(Number.isFinite((await gradientNorm!.read()).item()), "no update is skipped").toBe(true);
  }
  await update.release();
  return seen;
}

/** 11 bits of mantissa through a layer and three updates; losses are about 2.4. */
const close = 0.01;

async function expectTrains(load: () => Case | Promise<Case>, tolerance = close): Promise<void> {
  const given = await load();
  const [half, single] = [await lossesOf(given, true), await lossesOf(given, false)];
  expect(half.at(-1)!).toBeLessThan(half[0]!);
  for (const [i, loss] of half.entries()) expect(Math.abs(loss - single[i]!), `update ${i}`).toBeLessThan(tolerance);
}

/** Every position predicts its target, from both sides. */
function bothSides(model: LanguageModel<never>): Case {
  const loss = (params: never, { inputs, targets, weights, sourceWeights }: Symbols, context: object) => {
    const { logits } = model.apply(params, { tokens: inputs, mask: sourceWeights }, context);
    return { total: sum(mul(crossEntropies(logits, targets), weights)), weight: sum(weights) };
  };
  return { init: model.init, loss: loss as never };
}

const nextToken = (model: unknown): Case => tokenObjective(model as never) as never;

/** A causal model, or one that looks both ways, of one layer. */
function around(mixer: Mixer, direction: string): Case {
  if (direction === "causal") return nextToken(gpt({ ...options, mixer: () => mixer }));
  const ffn = mlp({ modelWidth: 16, ffnWidth: 64, activation: relu });
  const block = postNormBlock({ modelWidth: 16, norm: layerNorm(), mixer, ffn });
  return bothSides(encoder({ ...bertParts(options), depth: blockStack([block]) }) as LanguageModel<never>);
}

describe("positions", () => {
  test.each(Object.entries<PositionEntry>(positions))("%s", async (_, entry) => {
    await expectTrains(async () => nextToken(gpt({ ...options, scheme: entry.make({}, sizes) })));
  });
});

describe("models", () => {
  const ofTokens = Object.entries<ModelEntry>(models).filter(([, { category }]) => category !== "picture");
  test.each(ofTokens)("%s", async (_, entry) => {
    await expectTrains(async () => {
      const given = { vocabularySize: V, layers: 1, modelWidth: 16, heads: 2, dropoutRate: 0.1 };
      const all = { ...given, ...("length" in entry.options().shape && { length }) };
      if (entry.category === "decoder") return nextToken(entry.make(all));
      if (entry.category === "encoder") return bothSides(entry.make(all) as never);
      return sequenceToSequenceObjective(entry.make(all) as never) as never;
    });
  });
});

describe("models of pictures", () => {
  const values = Array.from({ length: 2 * 48 }, (_, i) => (i * i + 3 * i) % 7);
  const batch = { pictures: fromNumbers(values, [2, 4, 4, 3], "int32"), weights: fromNumbers([1, 1], [2]) };
  test.each(pictureCases)("%s", async (_, make) => {
    const { init, loss } = pictureObjective(make(48, 7));
    const own = (params: never, _: unknown, context: object) =>
      loss(params, { pictures: constant(batch.pictures), weights: constant(batch.weights) }, context);
    await expectTrains(() => ({ init, loss: own }) as never, 0.05);
  });
});

/** Forms of members that differ in kind, sized for short sequences; the others as they come. */
const forms: Readonly<Record<string, readonly object[]>> = {
  linear: [{}, { gated: true }, { featureMap: "exp" }],
  performer: [{}, { kernel: "trigonometric" }, { kernel: "relu" }],
  rfa: [{}, { kernel: "arc-cosine" }, { gated: true }],
  etc: [{ globals: 2, radius: 3, furthestLabel: 2 }],
  longformer: [{ window: 4 }],
  lsh: [{ chunk: 4 }, { chunk: 4, countsOnce: true }],
  local: [{ chunk: 4 }],
  routing: [{}, { localHeads: 1, localChunk: 4 }, { measure: "cosine" }],
  sinkhorn: [{ block: 4 }, { block: 4, cut: 2 }],
  linformer: [{ slots: 4 }, { slots: 4, sharing: "none" }, { slots: 4, projection: "convolution" }],
  synthesizer: [
    {},
    { logits: ["table", "dot product"] },
    { logits: ["fixed table", "factorised table"], mixture: "by head" },
    { logits: ["factorised dense", "dot product"], mixture: "softmax" },
  ],
  "memory-compressed": [{}, { first: "learned", compress: "keys and values" }],
  "induced-set": [{ points: 4 }, { points: 4, form: "published" }],
  axial: [{ columns: 4 }, { columns: 4, arrangement: "sum" }],
};
const oneWay: Readonly<Record<string, string>> = {
  gated: "causal",
  cut: "bidirectional",
  arrangement: "bidirectional",
};

describe("mixers", () => {
  const cases = Object.entries<MixerEntry>(mixers).flatMap(([name, entry]) =>
    (forms[name] ?? [{}]).flatMap((form) =>
      entry.directions
        .filter((direction) => Object.keys(form).every((option) => (oneWay[option] ?? direction) === direction))
        .map((direction) => [name, form, direction, entry] as const),
    ),
  );
  test.each(cases)("%s %j, %s", async (_, form, direction, entry) => {
    await expectTrains(async () => around(entry.make(form, { ...sizes, causal: direction === "causal" }), direction));
  });

  test("with spans of each position", async () => {
    await expectTrains(() =>
      around(dynamicSpan(attention(sizes), { ...sizes, maxSpan: 8, ramp: 4 }) as Mixer, "causal"),
    );
  });
});

describe("patterns", () => {
  // Softmax attention under each, the same parameters for all: a pattern has none of its own.
  test.each(["causal", "bidirectional"] as const)("%s ones", async (direction) => {
    const all = Object.values<PatternEntry>(patterns).filter(({ directions }) => directions.includes(direction));
    const context = { length, heads: 2, layers: 1, causal: direction === "causal" };
    const each = all.map((entry) => entry.make({}, context)(0));
    const mixed = [...each, perHead([each[0]!, each[1]!]), union(each[2]!, each[3]!)];
    const [tokens, mixer] = [embedding(V, 16, normalInitial(1)), attention({ ...sizes, initial: normalInitial(0.2) })];
    type Params = { tokens: EmbeddingParams; mixer: AttentionParams };
    const loss = (params: Params, { inputs, targets }: Symbols) => {
      const [x, wanted] = [tokens.apply(params.tokens, inputs), tokens.apply(params.tokens, targets)];
      const errors = mixed.map((pattern) => {
        const view = makeView({ pattern, queries: length, keys: length });
        const { y } = mixer.apply(params.mixer, { x, view }, {});
        return mean(square(sub(cast(y, "float32"), cast(stopGradient(wanted), "float32"))));
      });
      const total = errors.reduce((a, b) => add(a, b));
      return { total: mul(total, 1 / errors.length), weight: constant(1) };
    };
    const init = (key: RandomKey) => ({ tokens: tokens.init(key), mixer: mixer.init(key) });
    await expectTrains(() => ({ init, loss: loss as never }));
  });

  test("blocks of queries, computed again", async () => {
    const parts = gptParts(options);
    await expectTrains(() =>
      nextToken(decoder({ ...parts, makeView: (view) => makeView({ ...view, queriesPerBlock: 4, keptPairs: 0 }) })),
    );
  });
});

describe("blocks", () => {
  const ffn = mlp({ modelWidth: 16, ffnWidth: 32, activation: geluTanh });
  const parts: BlockParts<unknown, unknown> = {
    modelWidth: 16,
    norm: layerNorm(),
    mixer: attention(sizes) as Mixer,
    ffn: ffn as never,
  };
  const gates = { residualGate, inputGate, outputGate, highwayGate, sigTanhGate, gruGate };
  const gated = Object.entries(gates).map(([name, gate]): [string, () => Block] => [
    name,
    () => gatedBlock({ ...parts, gate: gate({ modelWidth: 16 }) as never }) as Block,
  ]);
  test.each([
    ...gated,
    ["parallel", () => parallelBlock(parts) as Block],
    ["recomputed", () => recomputed(preNormBlock(parts)) as Block],
    [
      "RMS norm and gated network",
      () =>
        preNormBlock({
          ...parts,
          norm: rmsNorm(),
          ffn: gatedMlp({ modelWidth: 16, ffnWidth: 32, activation: silu }) as never,
        }) as Block,
    ],
    [
      "network in chunks",
      () => preNormBlock({ ...parts, ffn: chunkedFeedForward(ffn, { chunkLength: 4 }) as never }) as Block,
    ],
  ] as [string, () => Block][])("%s", async (_, make) => {
    await expectTrains(() => nextToken(decoder({ ...gptParts(options), depth: blockStack([make(), make()]) })));
  });

  test.each(["softmax", "lsh", "routing", "performer"])("reversible, around %s", async (name) => {
    await expectTrains(async () => {
      const made =
        name === "softmax"
          ? parts.mixer
          : entryOf<MixerEntry>(mixers, name).make(forms[name]![0], { ...sizes, causal: true });
      const block = reversibleBlock({ ...parts, mixer: made });
      const depth = reversible([block, block] as ReversibleBlock[], { merge: meanOfStreams });
      return nextToken(decoder({ ...gptParts(options), depth }));
    });
  });
});

describe("losses", () => {
  test("in chunks, with smoothing", async () => {
    await expectTrains(() => tokenObjective(gpt(options), { lossChunk: 8, smoothing: 0.1 }) as never);
  });

  test.each([undefined, 4])("auxiliary ones of each layer, in chunks of %s", async (chunkLength) => {
    const model = gpt({ ...options, layers: 2 });
    const loss = (params: never, { inputs, targets, weights }: Symbols, context: object) => {
      const { hidden, toLogits } = model.apply(params, { tokens: inputs, positions: iota([2, length], 1) }, context);
      const progress = mul(sum(weights), 0);
      const given = { hidden: hidden.slice(1), heads: [toLogits!, toLogits!], targets, weights, progress };
      const { layers, later } = auxiliaryLosses(given, chunkLength === undefined ? {} : { chunkLength });
      return { total: add(layers, later), weight: constant(ndarray([1], [])) };
    };
    // Three losses are added up.
    await expectTrains(() => ({ init: model.init, loss: loss as never }), 3 * close);
  });
});
