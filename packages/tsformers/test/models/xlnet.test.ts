import {
  add,
  concat,
  constant,
  einsum,
  evaluate,
  expandDims,
  fromNumbers,
  gelu,
  grad,
  matmul,
  mul,
  type NDArray,
  normal,
  oneHot,
  randomKey,
  reshape,
  softmax,
  sum,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import type { SegmentState } from "../../src/memory/segment-memory.ts";
import { type XlnetOptions, type XlnetParams, xlnet } from "../../src/models/decoders/xlnet.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { predictionOf } from "../../src/objectives/permutation.ts";
import { expectSameTrees, loud, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, D, layers, B, T, M] = [11, 12, 3, 4, 2, 2, 7, 5];
const sizes = { vocabularySize: V, layers, modelWidth: C, heads: H, ffnWidth: 20 };

const paramsOf = (options: XlnetOptions = sizes) => loud(xlnet(options).init(randomKey(1)));

const integers = (shape: readonly number[], high: number, seed = 5): NDArray =>
  fromNumbers(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i * i * 7 + seed * i + 3) % high),
    shape,
    "int32",
  );

const tokens = integers([B, T], V);
const types = integers([B, T], 2, 3);
/** 1 where a token is predicted; both rows have predictions, in orders of their own. */
const weights = fromNumbers([0, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0], [B, T]);
const order = fromNumbers([0, 3, 0, 1, 4, 0, 2, 5, 0, 0, 1, 0, 3, 0], [B, T]);
const memories = Array.from({ length: layers }, (_, i) => ({
  vectors: normal(randomKey(40 + i), [B, M, C]),
  // The second row has read less.
  seen: fromNumbers([1, 1, 1, 1, 1, 0, 0, 1, 1, 1], [B, M], "int32"),
}));

/** Which pairs are seen: by the definition, from the arrays. */
const plainSight = (query: boolean, memory: number) => {
  const [w, z] = [weights.toNumbers(), order.toNumbers()];
  const cells = Array.from({ length: B * T * (memory + T) }, (_, i) => {
    const [s, t, b] = [(i % (memory + T)) - memory, Math.floor(i / (memory + T)) % T, Math.floor(i / (memory + T) / T)];
    if (s < 0) return memories[0]!.seen.toNumbers()[b * M + s + M] === 1;
    if (s === t && !query) return true;
    if (w[b * T + s] === 0) return true;
    return w[b * T + t]! > 0 && z[b * T + s]! < z[b * T + t]!;
  });
  return constant(
    fromNumbers(
      cells.map((seen) => (seen ? 0 : -1e30)),
      [B, 1, T, memory + T],
    ),
  );
};

/** Both streams, written as the paper's equations: every pair computed, with a sinusoid of its own. */
function plain(params: XlnetParams, { tokens, types }: Readonly<Record<string, Tensor>>, past?: readonly Tensor[]) {
  const memory = past === undefined ? 0 : M;
  const S = memory + T;
  const waves = Array.from({ length: T * S }, (_, i) => {
    const distance = Math.floor(i / S) - ((i % S) - memory);
    const angles = Array.from({ length: C / 2 }, (_, k) => distance * 10_000 ** ((-2 * k) / C));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  });
  const R = constant(fromNumbers(waves.flat(), [T, S, C]));
  const norm = layerNorm({ epsilon: 1e-12 })(C);
  const heads = (x: Tensor, weight: Tensor) =>
    transpose(reshape(matmul(x, weight), [B, x.shape[1]!, H, D]), [0, 2, 1, 3]);
  const typesOfKeys =
    types && concat([constant(fromNumbers(new Array(B * memory).fill(0), [B, memory], "int32")), types], 1);
  const sameSegment = types && einsum("bti,bsi->bts", oneHot(types, 2), oneHot(typesOfKeys!, 2));
  let h = einsum("btv,vc->btc", oneHot(tokens!, V), params.tokens.weight);
  let g = add(mul(h, 0), params.queryStart);
  params.blocks.forEach(({ mixer, mixerNorm, ffn, ffnNorm }, i) => {
    const read = past === undefined ? h : concat([past[i]!, h], 1);
    const [key, value] = [heads(read, mixer.key.weight), heads(read, mixer.value.weight)];
    const { content, distance } = params.scores.biases[i]!;
    const { bias, vectors } = params.segments[i]!;
    const row = (of: Tensor) => reshape(of, [1, H, 1, D]);
    const stream = (x: Tensor, sight: Tensor) => {
      const q = heads(x, mixer.query.weight);
      const byContent = einsum("bhtd,bhsd->bhts", add(q, row(content)), key);
      const places = einsum("tsc,hcd->htsd", R, params.scores.distances[i]!);
      const byDistance = einsum("bhtd,htsd->bhts", add(q, row(distance)), places);
      let logits = add(byContent, byDistance);
      if (sameSegment !== undefined) {
        const each = einsum("bhtd,nhd->bhtn", add(q, row(bias)), vectors);
        const which = concat([expandDims(sameSegment, 3), add(mul(expandDims(sameSegment, 3), -1), 1)], 3);
        logits = add(logits, einsum("bhtn,btsn->bhts", each, which));
      }
      const mixed = matmul(softmax(add(mul(logits, 1 / Math.sqrt(D)), sight)), value);
      const joined = reshape(transpose(mixed, [0, 2, 1, 3]), [B, T, C]);
      const a = norm.apply(mixerNorm, add(x, matmul(joined, mixer.out.weight)));
      const inner = gelu(add(matmul(a, ffn.in.weight), ffn.in.bias!));
      return norm.apply(ffnNorm, add(a, add(matmul(inner, ffn.out.weight), ffn.out.bias!)));
    };
    [h, g] = [stream(h, plainSight(false, memory)), stream(g, plainSight(true, memory))];
  });
  const { bias } = params.head as { bias: Tensor };
  const toLogits = (x: Tensor) => add(einsum("btc,vc->btv", x, params.tokens.weight), bias);
  return { content: toLogits(h), predicted: toLogits(g) };
}

const cases: readonly (readonly [string, { types?: true; memory?: true }])[] = [
  ["one segment", {}],
  ["two segments", { types: true }],
  ["a memory", { memory: true }],
  ["two segments behind a memory", { types: true, memory: true }],
];

describe.each(cases)("%s", (_, { types: withTypes, memory }) => {
  const options = memory ? { ...sizes, memoryLength: M } : sizes;
  const params = paramsOf(options);
  const given = { tokens, weights, order, ...(withTypes && { types }) };
  const past = memory && memories.map(({ vectors }) => vectors);
  const counted = normal(randomKey(9), [B, T, V]);
  const alsoCounted = normal(randomKey(10), [B, T, V]);

  const ours = (
    params: XlnetParams,
    { tokens, types, weights, order }: Readonly<Record<string, Tensor>>,
    places?: Tensor,
  ) => {
    const layers = memories.map(({ vectors, seen }) => ({ vectors: constant(vectors), seen: constant(seen) }));
    const input = {
      tokens: tokens!,
      ...(types && { types }),
      ...predictionOf(weights!, order!),
      ...(places && { places }),
      ...(memory && { segment: { layers } }),
    };
    const { logits: content, predicted } = xlnet(options).predict(params, input, evaluation);
    return { content, predicted };
  };

  test("both streams are the definition, gradients included", async () => {
    type Read = (params: XlnetParams, given: Readonly<Record<string, Tensor>>) => ReturnType<typeof ours>;
    const run = (read: Read) =>
      evaluate(
        ((params: XlnetParams, given: Readonly<Record<string, Tensor>>) => {
          const loss = (params: XlnetParams) => {
            const { content, predicted } = read(params, given);
            return add(sum(mul(predicted, constant(counted))), sum(mul(content, constant(alsoCounted))));
          };
          return { ...read(params, given), gradients: grad(loss)(params) };
        }) as never,
        device,
        params as never,
        given as never,
      );
    const slow: Read = (params, given) =>
      plain(
        params,
        given,
        past?.map((vectors) => constant(vectors)),
      );
    expectSameTrees(await run(ours), await run(slow), 5e-5);
  });

  test("places are predicted as in a query stream of all positions", async () => {
    const places = fromNumbers([4, 1, 0, 5], [B, 2], "int32");
    const run = (places?: NDArray) =>
      evaluate(
        ((params: XlnetParams, given: never, places?: Tensor) => ours(params, given, places).predicted) as never,
        device,
        params as never,
        given as never,
        places as never,
      ) as Promise<NDArray>;
    const [all, some] = [(await run()).toNumbers(), await run(places)];
    const expected = [4, 1, T, T + 5].flatMap((row) => all.slice(row * V, (row + 1) * V));
    expectSameTrees(some, fromNumbers(expected, [B, 2, V]));
  });
});

/** What is predicted at every position of one row, by position. */
async function predictedOf(
  row: readonly number[],
  weights: readonly number[],
  order: readonly number[],
  mask?: number[],
) {
  const pass = (params: XlnetParams, tokens: Tensor, weights: Tensor, order: Tensor, mask?: Tensor) =>
    xlnet(sizes).predict(params, { tokens, ...predictionOf(weights, order), ...(mask && { mask }) }, evaluation)
      .predicted;
  const array = (values: readonly number[], dtype: "int32" | "float32") =>
    fromNumbers(values, [1, values.length], dtype);
  const found = (await evaluate(
    pass as never,
    device,
    paramsOf() as never,
    array(row, "int32") as never,
    array(weights, "float32") as never,
    array(order, "float32") as never,
    (mask && array(mask, "int32")) as never,
  )) as unknown as NDArray;
  return row.map((_, t) => found.toNumbers().slice(t * V, (t + 1) * V));
}

const worst = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

describe("what a prediction depends on", () => {
  const row = [3, 1, 4, 1, 5, 9, 2, 6];
  const all = row.map(() => 1);

  test("in the order of the row it is a causal model: on what comes before, all of it, and on nothing else", async () => {
    const order = row.map((_, t) => t);
    const before = await predictedOf(row, all, order);
    const after = await predictedOf(row.with(4, 8), all, order);
    row.forEach((_, t) => {
      const moved = worst(before[t]!, after[t]!);
      if (t <= 4) expect(moved).toBe(0);
      else expect(moved).toBeGreaterThan(1e-3);
    });
  });

  test("in any order, on what comes earlier in that order", async () => {
    const order = [5, 2, 7, 0, 6, 1, 4, 3];
    const before = await predictedOf(row, all, order);
    const after = await predictedOf(row.with(1, 8), all, order);
    row.forEach((_, t) => {
      const moved = worst(before[t]!, after[t]!);
      if (order[t]! <= 2) expect(moved).toBe(0);
      else expect(moved).toBeGreaterThan(1e-3);
    });
  });

  test("given tokens are seen by all, wherever they stand", async () => {
    const weights = [0, 1, 1, 0, 1, 0, 1, 0];
    const before = await predictedOf(
      row,
      weights,
      row.map((_, t) => t),
    );
    const after = await predictedOf(
      row.with(7, 8),
      weights,
      row.map((_, t) => t),
    );
    for (const t of [1, 2, 4, 6]) expect(worst(before[t]!, after[t]!)).toBeGreaterThan(1e-3);
  });

  test("padding behind changes nothing", async () => {
    const order = [5, 2, 7, 0, 6, 1, 4, 3];
    const alone = await predictedOf(row, all, order);
    const padded = await predictedOf([...row, 7, 7], [...all, 0, 0], [...order, 0, 0], [...all, 0, 0]);
    row.forEach((_, t) => {
      expect(worst(alone[t]!, padded[t]!)).toBeLessThan(1e-5);
    });
  });
});

test("a memory keeps the first of a segment that are reused, behind what it held", async () => {
  const options = { ...sizes, memoryLength: M, reuseLength: 3 };
  const pass = (params: XlnetParams, tokens: Tensor, layers: readonly unknown[]) => {
    const { hidden, state } = xlnet(options).apply(params, { tokens, segment: { layers } }, evaluation);
    return { hidden, kept: state.segment as readonly SegmentState[] };
  };
  const { hidden, kept } = (await evaluate(
    pass as never,
    device,
    paramsOf(options) as never,
    tokens as never,
    memories as never,
  )) as unknown as { hidden: NDArray[]; kept: { vectors: NDArray; seen: NDArray }[] };
  const rowsOf = (array: NDArray, b: number, from: number, to: number) =>
    array.toNumbers().slice((b * array.shape[1]! + from) * C, (b * array.shape[1]! + to) * C);
  kept.forEach(({ vectors, seen }, layer) => {
    const expected = [0, 1].flatMap((b) => [
      ...rowsOf(memories[layer]!.vectors, b, 3, M),
      ...rowsOf(hidden[layer]!, b, 0, 3),
    ]);
    expectSameTrees(vectors, fromNumbers(expected, [B, M, C]));
    expect(seen.toNumbers()).toEqual(new Array(B * M).fill(1));
  });
});

test("it has as many parameters as the paper's parts have", () => {
  // Five projections, with W_R; u, v and b; two vectors of segments; a network with biases; two norms.
  const layer = 5 * C * C + 3 * C + 2 * C + (2 * C * 20 + 20 + C) + 4 * C;
  expect(sizeOf(xlnet(sizes).init(randomKey(0)))).toBe(V * C + V + C + layers * layer);
});

test("what does not fit is refused in one line", async () => {
  expect(() => xlnet({ ...sizes, heads: 5 })).toThrow("xlnet: modelWidth must be a multiple of heads");
  expect(() => xlnet({ ...sizes, modelWidth: 15, heads: 3 })).toThrow("xlnet: needs an even modelWidth, got 15");
  expect(() => xlnet({ ...sizes, memoryLength: 0 })).toThrow(
    "xlnet: memoryLength must be a whole number of at least 1",
  );
  expect(() => xlnet({ ...sizes, reuseLength: 3 })).toThrow(
    "xlnet: reuseLength says what of a segment is remembered; it needs a memoryLength",
  );
  const run = (more: (tokens: Tensor) => object) =>
    evaluate(
      ((params: XlnetParams, tokens: Tensor) =>
        xlnet(sizes).apply(params, { tokens, ...more(tokens) }, evaluation).logits) as never,
      device,
      paramsOf() as never,
      tokens as never,
    );
  await expect(run((positions) => ({ positions }))).rejects.toThrow("xlnet: tells positions by their distance");
  await expect(run((globals) => ({ globals }))).rejects.toThrow("takes no global tokens");
  await expect(run(() => ({ segment: { layers: [] } }))).rejects.toThrow("xlnet: was made without a memoryLength");
});
