import {
  add,
  type Concrete,
  concat,
  constant,
  einsum,
  evaluate,
  fromNumbers,
  full,
  grad,
  isNdArray,
  isTensor,
  mapTree,
  matmul,
  mul,
  type NDArray,
  normal,
  oneHot,
  randomKey,
  relu,
  reshape,
  slice,
  softmax,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { SegmentState } from "../../src/memory/segment-memory.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import { type TransformerXlOptions, transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { lossAndGradients } from "../../src/train/accumulate.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, D, layers, batch] = [11, 12, 3, 5, 2, 2];
const sizes = { vocabularySize: V, layers, modelWidth: C, heads: H, headWidth: D, ffnWidth: 20 };
const optionsOf = (more: Partial<TransformerXlOptions>): TransformerXlOptions => ({
  ...sizes,
  memoryLength: 6,
  ...more,
});

/** Weights that make positions differ. */
function paramsOf(options: TransformerXlOptions): Concrete<DecoderParams> {
  let seed = 0;
  return mapTree(transformerXl(options).init(randomKey(1)), isNdArray, (array, path) => {
    const noise = normal(randomKey(100 + seed++), array.shape, { deviation: 0.35 });
    if (!path.endsWith("orm.weight")) return noise;
    return fromNumbers(
      noise.toNumbers().map((x) => 1 + x),
      array.shape,
    );
  }) as Concrete<DecoderParams>;
}

const tokensOf = (length: number, rows = batch, seed = 5): NDArray =>
  fromNumbers(
    Array.from({ length: rows * length }, (_, i) => (i * i * 7 + seed * i + 3) % V),
    [rows, length],
    "int32",
  );

type Tree = {
  tokens: { weight: Tensor };
  scores: { biases: { content: Tensor; distance: Tensor }[]; distances: Tensor[] };
  blocks: {
    mixer: Record<"query" | "key" | "value" | "out", { weight: Tensor }>;
    mixerNorm: { weight: Tensor; bias: Tensor };
    ffn: Record<"in" | "out", { weight: Tensor; bias: Tensor }>;
    ffnNorm: { weight: Tensor; bias: Tensor };
  }[];
  head: { bias: Tensor };
};

type Read = { readonly logits: Tensor; readonly inputs: readonly Tensor[] };

/**
 * The definition over a whole sequence, pair by pair: a layer sees its own segment with gradients, and what the memory still holds of
 * earlier ones as constants.
 */
function dense(options: TransformerXlOptions, params: Tree, tokens: Tensor, segments: readonly number[]): Read {
  const { memoryLength, sameLength, preNorm, untied } = options;
  const starts = segments.flatMap((length, i) => {
    const start = segments.slice(0, i).reduce((a, b) => a + b, 0);
    return new Array<number>(length).fill(start);
  });
  const N = starts.length;
  const pairs = (of: (t: number, s: number) => number) =>
    constant(
      fromNumbers(
        starts.flatMap((_, t) => starts.map((_, s) => of(t, s))),
        [N, N],
      ),
    );
  const first = (t: number) => (sameLength ? t - memoryLength + 1 : starts[t]! - memoryLength);
  const hidden = pairs((t, s) => (s <= t && s >= first(t) ? 0 : -1e30));
  const own = pairs((t, s) => (starts[s] === starts[t] ? 1 : 0));
  const other = sub(1, own);
  const waves = starts.flatMap((_, t) =>
    starts.flatMap((_, s) => {
      const distance = Math.min(Math.max(t - s, 0), options.maxDistance ?? N);
      const angles = Array.from({ length: C / 2 }, (_, i) => distance * 10_000 ** ((-2 * i) / C));
      return [...angles.map(Math.sin), ...angles.map(Math.cos)];
    }),
  );
  const R = constant(fromNumbers(waves, [N, N, C]));
  const norm = layerNorm({ epsilon: 1e-5 })(C);
  const heads = (x: Tensor, weight: Tensor) =>
    transpose(reshape(matmul(x, weight), [x.shape[0]!, N, H, D]), [0, 2, 1, 3]);

  let x = mul(einsum("btv,vc->btc", oneHot(tokens, V), params.tokens.weight), Math.sqrt(C));
  const inputs = [x];
  params.blocks.forEach(({ mixer, mixerNorm, ffn, ffnNorm }, layer) => {
    const before = (x: Tensor) => (preNorm ? norm.apply(mixerNorm, x) : x);
    const { content, distance } = params.scores.biases[untied ? layer : 0]!;
    const past = stopGradient(x);
    const q = heads(before(x), mixer.query.weight);
    const withBias = (bias: Tensor) => add(q, reshape(bias, [1, H, 1, D]));
    const [key, pastKey] = [heads(before(x), mixer.key.weight), heads(before(past), mixer.key.weight)];
    const [value, pastValue] = [heads(before(x), mixer.value.weight), heads(before(past), mixer.value.weight)];
    const byContent = (k: Tensor) => einsum("bhtd,bhsd->bhts", withBias(content), k);
    const placed = einsum(
      "bhtd,htsd->bhts",
      withBias(distance),
      einsum("tsc,hcd->htsd", R, params.scores.distances[layer]!),
    );
    const known = add(mul(own, byContent(key)), mul(other, byContent(pastKey)));
    const weights = softmax(add(mul(add(known, placed), 1 / Math.sqrt(D)), hidden));
    const mixed = add(matmul(mul(weights, own), value), matmul(mul(weights, other), pastValue));
    const joined = reshape(transpose(mixed, [0, 2, 1, 3]), [x.shape[0]!, N, H * D]);
    const network = (x: Tensor) =>
      add(matmul(relu(add(matmul(x, ffn.in.weight), ffn.in.bias)), ffn.out.weight), ffn.out.bias);
    const added = add(x, matmul(joined, mixer.out.weight));
    if (preNorm) x = add(added, network(norm.apply(ffnNorm, added)));
    else {
      const normed = norm.apply(mixerNorm, added);
      x = norm.apply(ffnNorm, add(normed, network(normed)));
    }
    inputs.push(x);
  });
  return { logits: add(einsum("btc,vc->btv", x, params.tokens.weight), params.head.bias), inputs };
}

/** The model's way: segment by segment, each with the memories that the one before left. */
function segmented(options: TransformerXlOptions, params: Tree, tokens: Tensor, segments: readonly number[]) {
  const model = transformerXl(options);
  let memories: readonly unknown[] = mapTree(startSegments(model.layers, tokens.shape[0]!)!, isNdArray, (array) =>
    constant(array),
  ) as readonly unknown[];
  let start = 0;
  const logits = segments.map((length) => {
    const own = slice(tokens, 1, start, start + length);
    start += length;
    const out = model.apply(params as never, { tokens: own, segment: { layers: memories } }, evaluation);
    memories = out.state.segment!;
    return out.logits;
  });
  return { logits: concat(logits, 1), memories: memories as readonly SegmentState[] };
}

const cases: readonly (readonly [string, Partial<TransformerXlOptions>, readonly number[]])[] = [
  ["a memory as long as a segment", {}, [6, 6, 6]],
  ["a shorter memory", { memoryLength: 2 }, [5, 5, 5]],
  ["a memory longer than all there is", { memoryLength: 40 }, [4, 4, 4, 4]],
  ["segments of other lengths", {}, [7, 1, 3, 6]],
  ["segments of one token", { memoryLength: 3 }, [1, 1, 1, 1, 1, 1, 1]],
  ["every query sees as far", { sameLength: true }, [6, 4, 6]],
  ["every query sees as far, beyond one segment", { sameLength: true, memoryLength: 9 }, [4, 4, 4, 4]],
  ["far distances count alike", { maxDistance: 3 }, [6, 6, 6]],
  ["biases of each layer", { untied: true }, [6, 6, 6]],
  ["norms before", { preNorm: true }, [6, 6, 6]],
];

describe.each(cases)("%s", (_, more, segments) => {
  const options = optionsOf(more);
  const params = paramsOf(options);
  const N = segments.reduce((a, b) => a + b, 0);
  const tokens = tokensOf(N);

  test("segment by segment is the definition, gradients included", async () => {
    const weights = normal(randomKey(9), [batch, N, V]);
    const withGradients = (read: (params: Tree, tokens: Tensor) => Tensor) => (params: Tree, tokens: Tensor) => ({
      logits: read(params, tokens),
      gradients: grad((params: Tree) => sum(mul(read(params, tokens), constant(weights))))(params),
    });
    const run = (read: (params: Tree, tokens: Tensor) => Tensor) =>
      evaluate(withGradients(read), device, params as never, tokens as never);
    const ours = await run((params, tokens) => segmented(options, params, tokens, segments).logits);
    const theirs = await run((params, tokens) => dense(options, params, tokens, segments).logits);
    expectSameTrees(ours.logits, theirs.logits, 2e-5);
    expectSameTrees(ours.gradients, theirs.gradients, 1e-4);
  });

  test("afterwards each layer remembers the last of its inputs", async () => {
    const { memoryLength: M } = options;
    const found = await evaluate(
      (params: Tree, tokens: Tensor) => segmented(options, params, tokens, segments).memories,
      device,
      params as never,
      tokens as never,
    );
    const kept = Math.min(N, M);
    const expected = await evaluate(
      (params: Tree, tokens: Tensor) =>
        dense(options, params, tokens, segments).inputs.map((x) => slice(x, 1, N - kept)),
      device,
      params as never,
      tokens as never,
    );
    expect(found).toHaveLength(layers);
    found.forEach(({ vectors, seen }, layer) => {
      expect(vectors.shape).toEqual([batch, M, C]);
      const rows = Array.from({ length: batch }, (_, b) =>
        vectors.toNumbers().slice((b * M + M - kept) * C, (b + 1) * M * C),
      );
      expectSameTrees(fromNumbers(rows.flat(), [batch, kept, C]), expected[layer]!);
      const row = Array.from({ length: M }, (_, slot) => (slot < M - kept ? 0 : 1));
      expect(seen.toNumbers()).toEqual([...row, ...row]);
    });
  });
});

type Segment = Parameters<ReturnType<typeof transformerXl>["apply"]>[1]["segment"] & object;

/** One segment, with memories as arrays. */
function readSegment(
  options: TransformerXlOptions,
  params: unknown,
  given: { tokens: NDArray; memories: unknown; fresh?: NDArray; mask?: NDArray },
) {
  const model = transformerXl(options);
  const { tokens, memories, fresh, mask } = given;
  const pass = (params: DecoderParams, tokens: Tensor, layers: readonly unknown[], fresh?: Tensor, mask?: Tensor) => {
    const segment: Segment = { layers, ...(fresh === undefined ? {} : { fresh }) };
    const { logits, state } = model.apply(
      params,
      { tokens, segment, ...(mask === undefined ? {} : { mask }) },
      evaluation,
    );
    return { logits, memories: state.segment! };
  };
  return evaluate(
    pass as never,
    device,
    params as never,
    tokens as never,
    memories as never,
    fresh as never,
    mask as never,
  ) as Promise<{
    logits: NDArray;
    memories: unknown;
  }>;
}

const emptyMemories = (options: TransformerXlOptions, rows = batch) =>
  startSegments(transformerXl(options).layers, rows)!;

const rowOf = (array: NDArray, row: number): NDArray => {
  const size = array.shape.slice(1).reduce((a, b) => a * b, 1);
  return fromNumbers(array.toNumbers().slice(row * size, (row + 1) * size), [1, ...array.shape.slice(1)], array.dtype);
};
const rowOfTree = (tree: unknown, row: number) => mapTree(tree, isNdArray, (array) => rowOf(array, row));

describe("memories", () => {
  const options = optionsOf({});
  const params = paramsOf(options);

  test("rows of a batch are independent, and a row whose document begins has an empty memory", async () => {
    const first = await readSegment(options, params, { tokens: tokensOf(5), memories: emptyMemories(options) });
    const tokens = tokensOf(5, batch, 2);
    const fresh = fromNumbers([0, 1], [batch]);
    const second = await readSegment(options, params, { tokens, memories: first.memories, fresh });

    const goesOn = await readSegment(options, params, {
      tokens: rowOf(tokens, 0),
      memories: rowOfTree(first.memories, 0),
    });
    expectSameTrees(rowOf(second.logits, 0), goesOn.logits);
    expectSameTrees(rowOfTree(second.memories, 0), goesOn.memories);
    const begins = await readSegment(options, params, {
      tokens: rowOf(tokens, 1),
      memories: emptyMemories(options, 1),
    });
    expectSameTrees(rowOf(second.logits, 1), begins.logits);
    expectSameTrees(rowOfTree(second.memories, 1), begins.memories);

    // What a row remembers makes a difference.
    const without = await readSegment(options, params, {
      tokens: rowOf(tokens, 0),
      memories: emptyMemories(options, 1),
    });
    const off = goesOn.logits.toNumbers().map((x, i) => Math.abs(x - without.logits.toNumbers()[i]!));
    expect(Math.max(...off)).toBeGreaterThan(1e-2);
  });

  test("an empty memory is none", async () => {
    const tokens = tokensOf(7);
    const model = transformerXl(options);
    const { logits } = await readSegment(options, params, { tokens, memories: emptyMemories(options) });
    const alone = (params: DecoderParams, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
    expectSameTrees(logits, await evaluate(alone, device, params as never, tokens as never));
  });

  test("padding is neither seen nor remembered", async () => {
    const [real, padded] = [5, 8];
    const tokens = tokensOf(padded);
    const mask = fromNumbers(
      Array.from({ length: batch * padded }, (_, i) => (i % padded < real ? 1 : 0)),
      [batch, padded],
    );
    const other = fromNumbers(
      tokens.toNumbers().map((token, i) => (i % padded < real ? token : (token + 4) % V)),
      tokens.shape,
      "int32",
    );
    const next = tokensOf(6, batch, 3);
    const two = async (tokens: NDArray) => {
      const first = await readSegment(options, params, { tokens, memories: emptyMemories(options), mask });
      const { logits } = await readSegment(options, params, { tokens: next, memories: first.memories });
      const own = first.logits.toNumbers().filter((_, i) => Math.floor(i / V) % padded < real);
      return { own: fromNumbers(own, [batch, real, V]), next: logits };
    };
    expectSameTrees(await two(other), await two(tokens));
  });

  test("in parts, a batch has the gradients and memories that it has as a whole", async () => {
    const rows = 4;
    const model = transformerXl(options);
    const objective = tokenObjective(model, { segments: true });
    const memories = (
      await readSegment(options, params, { tokens: tokensOf(6, rows), memories: emptyMemories(options, rows) })
    ).memories;
    const tokens = tokensOf(6, rows, 2);
    const batchOf = {
      inputs: tokens,
      targets: tokensOf(6, rows, 4),
      // Parts of different weight, and a document that begins in one of them.
      weights: fromNumbers(
        Array.from({ length: rows * 6 }, (_, i) => (i % 5 === 0 || i > 15 ? 0 : 1)),
        [rows, 6],
      ),
      fresh: fromNumbers([0, 0, 1, 0], [rows]),
    };
    const run = (parts: number) =>
      evaluate(
        ((params: DecoderParams, batch: never, memories: readonly unknown[]) => {
          const {
            loss,
            gradients,
            factor,
            memories: next,
          } = lossAndGradients(objective.loss, parts, params, batch, {}, { memories });
          const scaled = mapTree(gradients, isTensor, (leaf) => mul(leaf, factor ?? 1));
          return { loss, gradients: scaled, memories: next };
        }) as never,
        device,
        params as never,
        batchOf as never,
        memories as never,
      );
    const whole = await run(1);
    for (const parts of [2, 4]) expectSameTrees(await run(parts), whole);
  });
});

describe.each([
  ["all that the memory reaches", {}],
  ["a memory shorter than decoding's slots", { memoryLength: 2 }],
  ["every query as far", { sameLength: true }],
  ["far distances alike, norms before", { maxDistance: 3, preNorm: true, untied: true }],
])("decoding sees what segments of one token see: %s", (_, more) => {
  const options = optionsOf(more as Partial<TransformerXlOptions>);
  const params = paramsOf(options);
  const N = 21;
  const tokens = tokensOf(N, 1);

  test.each([[[1]], [[N]], [[5, 3]]])("in pieces of %j", async (pieces) => {
    const { logits } = await evaluate(
      (params: Tree, tokens: Tensor) => ({
        logits: segmented(options, params, tokens, new Array<number>(N).fill(1)).logits,
      }),
      device,
      params as never,
      tokens as never,
    );
    const decoder = openDecoder(transformerXl(options), params, { device, maxLength: N, tokensPerPass: 4 });
    const all = tokens.toNumbers();
    for (let at = 0, i = 0; at < N; i++) {
      const count = Math.min(pieces[i % pieces.length]!, N - at);
      const found = await decoder.read(all.slice(at, at + count));
      at += count;
      const expected = logits.toNumbers().slice((at - 1) * V, at * V);
      expectSameTrees(fromNumbers([...found], [V]), fromNumbers(expected, [V]));
    }
    await decoder.release();
  });
});

test("it has as many parameters as the paper's parts have", () => {
  const count = (more: Partial<TransformerXlOptions>) => sizeOf(transformerXl(optionsOf(more)).init(randomKey(0)));
  const inner = H * D;
  // Four projections and W_R, a network with biases, two norms; a table and a bias; u and v.
  const layer = 4 * C * inner + C * inner + (2 * C * 20 + 20 + C) + 4 * C;
  expect(count({})).toBe(V * C + V + layers * layer + 2 * inner);
  expect(count({ untied: true })).toBe(V * C + V + layers * (layer + 2 * inner));
  // Clusters of 5, 4 and 2 tokens, with vectors of 12, 6 and 3 features.
  const clusters = { cutoffs: [5, 9], divisor: 2 };
  const adaptive = 5 * 12 + 4 * 6 + 2 * 3 + C * (12 + 6 + 3) + V + 2 * (C + 1);
  expect(count({ clusters })).toBe(adaptive + layers * layer + 2 * inner);
  expect(count({ clusters: { ...clusters, ownProjection: true } })).toBe(adaptive + C * C + layers * layer + 2 * inner);
});

test("the matrices of its layers begin as they are told to", () => {
  const params = transformerXl(optionsOf({ initial: (_, shape) => full(shape, 7) })).init(randomKey(1));
  const { tokens, ...layered } = params as Concrete<DecoderParams> & { tokens: unknown };
  const begun: string[] = [];
  mapTree(layered as Concrete<DecoderParams>, isNdArray, (array, path) => {
    if (array.toNumbers().every((x) => x === 7)) begun.push(path);
    return array;
  });
  // Of each layer: four of attention, two of the network, one of distances; and u and v.
  expect(begun).toHaveLength(7 * layers + 2);
  expect(sizeOf(tokens)).toBe(V * C);
});

test("what does not fit is refused", () => {
  expect(() => transformerXl(optionsOf({ memoryLength: 0 }))).toThrow(/transformer-xl: .*memoryLength/);
  expect(() => transformerXl(optionsOf({ modelWidth: 15 }))).toThrow("transformer-xl");
});
