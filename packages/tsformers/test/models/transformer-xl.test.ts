import {
  add,
  type Concrete,
  constant,
  einsum,
  evaluate,
  fromNumbers,
  full,
  grad,
  isNdArray,
  mapTree,
  matmul,
  mul,
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
import { openDecoder } from "../../src/generate/decoder.ts";
import type { SegmentState } from "../../src/memory/segment-memory.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import { type TransformerXlOptions, transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { expectSameTrees, loud, sizeOf } from "../numbers.ts";
import { inSegments, memoryLaws, tokensBelow } from "./segment-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, D, layers, batch] = [11, 12, 3, 5, 2, 2];
const sizes = { vocabularySize: V, layers, modelWidth: C, heads: H, headWidth: D, ffnWidth: 20 };
const optionsOf = (more: Partial<TransformerXlOptions>): TransformerXlOptions => ({
  ...sizes,
  memoryLength: 6,
  ...more,
});

const paramsOf = (options: TransformerXlOptions) => loud(transformerXl(options).init(randomKey(1)));
const tokensOf = tokensBelow(V, batch);

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

const segmented = (options: TransformerXlOptions, params: Tree, tokens: Tensor, segments: readonly number[]) =>
  inSegments<SegmentState>(transformerXl(options), params, tokens, segments);

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

describe("memories", () => {
  const options = optionsOf({});
  memoryLaws(transformerXl(options), paramsOf(options), device);
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
