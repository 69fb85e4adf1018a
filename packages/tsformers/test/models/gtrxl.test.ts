import {
  add,
  type Concrete,
  constant,
  einsum,
  evaluate,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  matmul,
  mul,
  type NDArray,
  normal,
  oneHot,
  randomKey,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  sub,
  sum,
  type Tensor,
  tanh,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { startSegments } from "../../src/depth/states.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { SegmentState } from "../../src/memory/segment-memory.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { type GtrxlOptions, gtrxl, gtrxlEntry } from "../../src/models/decoders/gtrxl.ts";
import { residualGate } from "../../src/nn/gate.ts";
import { layerNorm } from "../../src/nn/norm.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";
import { segmentReader, tokensBelow } from "./segment-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, H, F, M, batch] = [7, 8, 2, 12, 5, 3];
const D = C / H;
const options: GtrxlOptions = { vocabularySize: V, layers: 2, modelWidth: C, heads: H, ffnWidth: F, memoryLength: M };
const model = gtrxl(options);
const params = model.init(randomKey(3)) as Concrete<DecoderParams>;

const tokensOf = tokensBelow(V, batch);

type GateTree = Record<"resetY" | "resetX" | "updateY" | "updateX" | "candidateY" | "candidateX" | "bias", Tensor>;
type Tree = {
  tokens: { weight: Tensor };
  scores: { biases: { content: Tensor; distance: Tensor }[]; distances: Tensor[] };
  blocks: {
    mixer: Record<"query" | "key" | "value" | "out", { weight: Tensor }>;
    mixerNorm: { weight: Tensor; bias: Tensor };
    mixerGate: GateTree;
    ffn: Record<"in" | "out", { weight: Tensor; bias: Tensor }>;
    ffnNorm: { weight: Tensor; bias: Tensor };
    ffnGate: GateTree;
  }[];
  head: { weight: Tensor; bias: Tensor };
};

function gate(g: GateTree, x: Tensor, y: Tensor): Tensor {
  const r = sigmoid(add(matmul(y, g.resetY), matmul(x, g.resetX)));
  const z = sigmoid(sub(add(matmul(y, g.updateY), matmul(x, g.updateX)), g.bias));
  const h = tanh(add(matmul(y, g.candidateY), matmul(mul(r, x), g.candidateX)));
  return add(mul(sub(1, z), x), mul(z, h));
}

/** The definition over rows without memory, pair by pair. `begins` [rows, N] tells where documents begin: nothing before is seen. */
function dense(params: Tree, tokens: Tensor, begins: readonly (readonly number[])[]): Tensor {
  const [rows, N] = tokens.shape as [number, number];
  const documents = begins.map((row) => row.map((_, t) => row.slice(0, t + 1).reduce((a, b) => a + b, 0)));
  const seen = (b: number, t: number, s: number) =>
    s <= t && t - s <= M && documents[b]![s] === documents[b]![t] ? 0 : -1e30;
  const places = Array.from({ length: N }, (_, i) => i);
  const hidden = constant(
    fromNumbers(
      documents.flatMap((_, b) => places.flatMap((t) => places.map((s) => seen(b, t, s)))),
      [rows, 1, N, N],
    ),
  );
  const wave = (t: number, s: number) => {
    const angles = Array.from({ length: C / 2 }, (_, i) => Math.max(t - s, 0) * 10_000 ** ((-2 * i) / C));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  const R = constant(
    fromNumbers(
      places.flatMap((t) => places.flatMap((s) => wave(t, s))),
      [N, N, C],
    ),
  );
  const heads = (x: Tensor) => transpose(reshape(x, [rows, N, H, D]), [0, 2, 1, 3]);
  const { content, distance } = params.scores.biases[0]!;
  const norm = layerNorm({ epsilon: 1e-5 })(C);
  let x = mul(einsum("btv,vc->btc", oneHot(tokens, V), params.tokens.weight), Math.sqrt(C));
  params.blocks.forEach((own, layer) => {
    const normed = norm.apply(own.mixerNorm, x);
    const [q, k, v] = (["query", "key", "value"] as const).map((name) => heads(matmul(normed, own.mixer[name].weight)));
    const biased = (bias: Tensor) => add(q!, reshape(bias, [1, H, 1, D]));
    const known = einsum("bhtd,bhsd->bhts", biased(content), k!);
    const keys = einsum("tsc,hcd->htsd", R, params.scores.distances[layer]!);
    const placed = einsum("bhtd,htsd->bhts", biased(distance), keys);
    const weights = softmax(add(mul(add(known, placed), 1 / Math.sqrt(D)), hidden));
    const joined = reshape(transpose(matmul(weights, v!), [0, 2, 1, 3]), [rows, N, C]);
    x = gate(own.mixerGate, x, relu(matmul(joined, own.mixer.out.weight)));
    const inner = relu(add(matmul(norm.apply(own.ffnNorm, x), own.ffn.in.weight), own.ffn.in.bias));
    x = gate(own.ffnGate, x, relu(add(matmul(inner, own.ffn.out.weight), own.ffn.out.bias)));
  });
  return add(matmul(x, params.head.weight), params.head.bias);
}

const read = segmentReader(model as never, params, device);
const empty = (rows = batch) => startSegments(model.layers, rows)!;
/** Memories with zeros for what may not be seen. */
const shown = (memories: unknown): readonly NDArray[] =>
  (memories as readonly Concrete<SegmentState>[]).flatMap(({ vectors, seen }) => {
    const isSeen = seen.toNumbers();
    const values = vectors.toNumbers().map((x, i) => (isSeen[Math.floor(i / C)] ? x : 0));
    return [fromNumbers(values, vectors.shape), seen];
  });
const columns = (x: NDArray, from: number, to: number) =>
  evaluate((x: Tensor) => slice(x, 1, from, to), device, x as never) as Promise<NDArray>;

describe("documents that begin inside a row", () => {
  const N = 12;
  const tokens = tokensOf(N);
  // At the first place of a row, in its middle, twice, at the last place, and not at all.
  const begins = [
    [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
    [1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ];
  const fresh = fromNumbers(begins.flat(), [batch, N]);

  test("the model is its definition, gradients included", async () => {
    const weights = normal(randomKey(9), [batch, N, V]);
    const run = (logitsOf: (params: Tree, tokens: Tensor, fresh: Tensor) => Tensor) =>
      evaluate(
        (params: Tree, tokens: Tensor, fresh: Tensor) => ({
          logits: logitsOf(params, tokens, fresh),
          gradients: grad((p: Tree) => sum(mul(logitsOf(p, tokens, fresh), constant(weights))))(params),
        }),
        device,
        params as never,
        tokens as never,
        fresh as never,
      );
    const ours = await run((params, tokens, fresh) => {
      const layers = mapTree(empty(), isNdArray, (array) => constant(array)) as readonly unknown[];
      return model.apply(params as never, { tokens, segment: { layers, fresh } }, evaluation).logits;
    });
    const theirs = await run((params, tokens) => dense(params, tokens, begins));
    expectSameTrees(ours.logits, theirs.logits, 2e-5);
    expectSameTrees(ours.gradients, theirs.gradients, 1e-4);
  });

  test.each([[[5, 7]], [[4, 4, 4]], [[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]])(
    "in segments of %j positions nothing changes",
    async (segments) => {
      const whole = await read({ tokens, fresh });
      let memories: unknown = empty();
      let from = 0;
      for (const length of segments) {
        const to = from + length;
        const own = { tokens: await columns(tokens, from, to), fresh: await columns(fresh, from, to) };
        const found = await read({ ...own, memories });
        expectSameTrees(found.logits, await columns(whole.logits, from, to));
        memories = found.memories;
        from = to;
      }
      expectSameTrees(shown(memories), shown(whole.memories));
    },
  );

  test("what a document leaves behind is not remembered by the next", async () => {
    const { memories } = await read({ tokens, fresh });
    const seen = (memories as readonly Concrete<SegmentState>[])[0]!.seen.toNumbers();
    // The last five places: one of the document, three of it, and five of a document that is longer.
    expect([seen.slice(0, 5), seen.slice(5, 10), seen.slice(10)]).toEqual([
      [0, 0, 0, 0, 1],
      [0, 0, 1, 1, 1],
      [1, 1, 1, 1, 1],
    ]);
    const other = await read({ tokens: tokensOf(N, batch, 4), fresh });
    const next = { tokens: tokensOf(1), fresh: fromNumbers([1, 1, 1], [batch, 1]) };
    const [one, two] = [await read({ ...next, memories }), await read({ ...next, memories: other.memories })];
    expectSameTrees(one.logits, two.logits);
    const going = { ...next, fresh: fromNumbers([0, 0, 0], [batch, 1]) };
    const [a, b] = [await read({ ...going, memories }), await read({ ...going, memories: other.memories })];
    const off = a.logits.toNumbers().map((x, i) => Math.abs(x - b.logits.toNumbers()[i]!));
    expect(Math.max(...off)).toBeGreaterThan(1e-3);
  });

  test("layers that cannot tell documents apart refuse them", async () => {
    const plain = gpt({ vocabularySize: V, layers: 1, modelWidth: C, heads: H, length: N });
    await expect(async () =>
      segmentReader(plain as never, params, device)({ tokens, memories: [undefined], fresh }),
    ).rejects.toThrow(/cannot tell documents of one row apart; expected fresh \[B\]/);
  });
});

test("position by position it writes as it reads, beyond its memory, too", async () => {
  const N = 14;
  const tokens = tokensOf(N, 1);
  const whole = (p: never, t: Tensor) => model.apply(p, { tokens: t }, evaluation).logits;
  const expected = ((await evaluate(whole as never, device, params as never, tokens as never)) as NDArray).toNumbers();
  const decoder = openDecoder(model, params, { device, maxLength: N });
  for (const [t, token] of tokens.toNumbers().entries()) {
    const found = fromNumbers([...(await decoder.read([token]))], [V]);
    expectSameTrees(found, fromNumbers(expected.slice(t * V, (t + 1) * V), [V]));
  }
  await decoder.release();
});

test("it has as many parameters as the paper's parts have", () => {
  const gates = 2 * (6 * C * C + C);
  const layer = 5 * C * C + (2 * C * F + F + C) + 4 * C;
  const outer = V * C + (C * V + V) + 2 * C;
  expect(sizeOf(params)).toBe(outer + 2 * (layer + gates));
  expect(sizeOf(gtrxl({ ...options, gate: residualGate }).init(randomKey(0)))).toBe(outer + 2 * layer);
});

test("a fresh model is nearly the identity, and the bias of its gates says how nearly", async () => {
  const tokens = tokensOf(6);
  const moved = async (gateBias: number): Promise<number> => {
    const own = gtrxl({ ...options, gateBias });
    const params = own.init(randomKey(3));
    const share = (params: never, tokens: Tensor) => {
      const { x } = own.body.apply(params, { tokens }, evaluation);
      const input = mul(einsum("btv,vc->btc", oneHot(tokens, V), own.body.embeddingOf(params).weight), Math.sqrt(C));
      const apart = sub(x, input);
      return { moved: sum(mul(apart, apart)), input: sum(mul(input, input)) };
    };
    const found = (await evaluate(share as never, device, params as never, tokens as never)) as Record<string, NDArray>;
    return Math.sqrt(found.moved!.item() / found.input!.item());
  };
  const [shut, usual, open] = [await moved(10), await moved(2), await moved(-2)];
  expect(shut).toBeLessThan(0.01);
  expect(usual).toBeLessThan(0.7);
  expect(open).toBeGreaterThan(usual);
});

test("what does not fit is refused", () => {
  expect(() => gtrxl({ ...options, memoryLength: 0 })).toThrow(/gtrxl: .*memoryLength/);
  expect(() => gtrxlEntry.make({ vocabularySize: V, gate: "lstm" } as never)).toThrow(/gate/);
});
