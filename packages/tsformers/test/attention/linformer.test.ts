import {
  add,
  concat,
  constant,
  einsum,
  fromNumbers,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  reshape,
  slice,
  softmax,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { type LinformerParams, linformer, type ProjectionSharing } from "../../src/attention/linformer/linformer.ts";
import {
  convolutionProjection,
  type LengthProjection,
  learnedProjection,
  meanProjection,
} from "../../src/attention/linformer/linformer-projection.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { completed } from "../../src/depth/layers.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { LinearParams } from "../../src/nn/linear.ts";
import { expectSame, noisy, outputsAndGradients } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const [modelWidth, heads, longest, slots] = [6, 2, 11, 4];
const width = Math.ceil(longest / slots);
type Any = { weight: Tensor };

const projections: Record<string, LengthProjection<Any>> = {
  learned: learnedProjection({ length: longest, slots }),
  mean: meanProjection({ length: longest, slots }) as unknown as LengthProjection<Any>,
  convolution: convolutionProjection({ length: longest, slots }),
};

/** E as a matrix [1 or H, S, M] whose rows of padding are 0, by the definition. */
function matrixOf(kind: string, own: Any, length: number, mask: readonly number[]): Tensor {
  const rows = constant(fromNumbers(mask, [1, length, 1]));
  if (kind === "learned") {
    const { weight } = own;
    const byHead = reshape(weight, [weight.shape.length === 3 ? heads : 1, longest, slots]);
    return mul(slice(byHead, 1, 0, length), rows);
  }
  const filled = Math.ceil(length / width);
  const cells = (of: (s: number, j: number) => number) =>
    constant(
      fromNumbers(
        Array.from({ length: length * filled }, (_, i) => of(Math.floor(i / filled), i % filled)),
        [length, filled],
      ),
    );
  if (kind === "mean") {
    const inside = (j: number) => mask.filter((real, s) => real === 1 && Math.floor(s / width) === j).length;
    return mul(
      reshape(
        cells((s, j) => (Math.floor(s / width) === j ? 1 / Math.max(1, inside(j)) : 0)),
        [1, length, filled],
      ),
      rows,
    );
  }
  const taps = reshape(own.weight, [-1, width]);
  const parts = Array.from({ length: width }, (_, tap) =>
    einsum(
      "h,sm->hsm",
      reshape(slice(taps, 1, tap, tap + 1), [-1]),
      cells((s, j) => (s === j * width + tap ? 1 : 0)),
    ),
  );
  return mul(
    parts.reduce((a, b) => add(a, b)),
    rows,
  );
}

/** The definition: E written out, every head by itself, slots without anything real left out. */
function plain(kind: string, mask: readonly number[] | undefined) {
  return ({ query, key, value, out, projection }: LinformerParams<Any>, x: Tensor): Tensor => {
    const length = x.shape[1]!;
    const real = mask ?? new Array<number>(length).fill(1);
    const linear = ({ weight, bias }: LinearParams) => add(matmul(x, weight), bias!);
    const head = (y: Tensor, h: number) => slice(y, 2, (h * modelWidth) / heads, ((h + 1) * modelWidth) / heads);
    const matrix = (own: Any, h: number) => {
      const all = matrixOf(kind, own, length, real);
      const one = all.shape[0] === 1 ? all : slice(all, 0, h, h + 1);
      const kept = Array.from({ length: one.shape[2]! }, (_, j) => j).filter(
        (j) => kind === "learned" || real.some((r, s) => r === 1 && Math.floor(s / width) === j),
      );
      return concat(
        kept.map((j) => slice(one, 2, j, j + 1)),
        2,
      );
    };
    const mixed = Array.from({ length: heads }, (_, h) => {
      const own = projection!;
      const k = matmul(matrix(own.key, h), head(linear(key), h), { transposeA: true });
      const v = matmul(matrix(own.value ?? own.key, h), head(linear(value), h), { transposeA: true });
      const logits = matmul(head(linear(query), h), k, { transposeB: true, scale: Math.sqrt(heads / modelWidth) });
      return matmul(softmax(logits), v);
    });
    return add(matmul(concat(mixed, 2), out.weight), out.bias!);
  };
}

function ours(kind: string, sharing: ProjectionSharing, mask?: readonly number[]) {
  const mixer = linformer({ modelWidth, heads, projection: projections[kind]!, sharing });
  const pass = (params: LinformerParams<Any>, x: Tensor): Tensor => {
    const [batch, length] = x.shape as [number, number];
    const keyMask =
      mask && constant(fromNumbers(Array.from({ length: batch }, () => mask).flat(), [batch, length], "int32"));
    const view = makeView({
      pattern: fullPattern,
      queries: length,
      keys: length,
      ...(keyMask === undefined ? {} : { keyMask }),
    });
    return mixer.apply(params, { x, view }, evaluation).y;
  };
  return { mixer, pass };
}

const input = (length: number): NDArray => normal(randomKey(length), [2, length, modelWidth]);

describe.each(["none", "headwise", "key-value", "layerwise"] as const)("sharing %s", (sharing) => {
  test.each(Object.keys(projections))("%s: outputs and gradients are those of E written out", async (kind) => {
    const { mixer, pass } = ours(kind, sharing);
    const params = noisy(mixer.init(randomKey(1)));
    for (const length of [1, 8]) await expectSame(pass, plain(kind, undefined), params, input(length), device);
  });

  test.each(Object.keys(projections))("%s: padding leaves the sums", async (kind) => {
    const mask = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0];
    const { mixer, pass } = ours(kind, sharing, mask);
    const params = noisy(mixer.init(randomKey(1)));
    await expectSame(pass, plain(kind, mask), params, input(11), device);
  });
});

test("the projections of keys and values are those that sharing says", () => {
  const shapes = (sharing: ProjectionSharing, layer = 0) => {
    const mixer = linformer({ modelWidth, heads, projection: projections.learned!, sharing, layer });
    const { projection } = mixer.init(randomKey(1));
    return projection && Object.entries(projection).map(([part, { weight }]) => [part, ...weight.shape]);
  };
  expect(shapes("none")).toEqual([
    ["key", heads, longest, slots],
    ["value", heads, longest, slots],
  ]);
  expect(shapes("headwise")).toEqual([
    ["key", longest, slots],
    ["value", longest, slots],
  ]);
  expect(shapes("key-value")).toEqual([["key", longest, slots]]);
  expect(shapes("layerwise")).toEqual([["key", longest, slots]]);
  expect(shapes("layerwise", 1)).toBeUndefined();
});

describe("a projection for all layers", () => {
  const layer = (at: number, own: number) =>
    linformer({
      modelWidth,
      heads,
      projection: learnedProjection({ length: longest, slots: own }),
      sharing: "layerwise",
      layer: at,
    });
  // The second layer has fewer slots: the first columns of the same matrix.
  const layers = [layer(0, 4), layer(1, 3)];
  const blocks = layers.map((mixer) => ({ mixer }));
  type Stack = { blocks: { mixer: LinformerParams<Any> }[] };
  const stack = (blocks: Stack["blocks"], x: Tensor): Tensor =>
    layers.reduce((y, mixer, i) => {
      const view = makeView({ pattern: fullPattern, queries: 11, keys: 11 });
      return add(y, mixer.apply(blocks[i]!.mixer, { x: y, view }, evaluation).y);
    }, x);
  const params = noisy<Stack>({ blocks: layers.map((mixer, i) => ({ mixer: mixer.init(randomKey(i)) })) });

  test("belongs to the first, and its gradient is the sum of what the layers ask", async () => {
    const lent = await outputsAndGradients<Stack>(
      (p, x) => stack([...completed(blocks, p.blocks)], x),
      params,
      input(11),
      device,
    );
    const [first, second] = params.blocks as unknown as [Stack["blocks"][0], Stack["blocks"][0]];
    const own = { blocks: [first, { mixer: { ...second.mixer, projection: first.mixer.projection } }] } as never;
    const apart = await outputsAndGradients<Stack>((p, x) => stack(p.blocks, x), own, input(11), device);
    expect(lent.y).toEqual(apart.y);
    const [a, b] = [0, 1].map((i) => apart[`params.blocks.${i}.mixer.projection.key.weight`]!) as [number[], number[]];
    lent["params.blocks.0.mixer.projection.key.weight"]!.forEach((value, i) => {
      expect(value).toBeCloseTo(a[i]! + b[i]!, 4);
    });
    expect(Object.keys(lent)).not.toContain("params.blocks.1.mixer.projection.key.weight");
  });

  test("is asked for where it was not lent", async () => {
    const run = outputsAndGradients<Stack>((p, x) => stack(p.blocks, x), params, input(11), device);
    await expect(run).rejects.toThrow(
      "linformer: layer 1 has no projection of its own, and was not given that of the first layer",
    );
  });
});

test("slots may differ from layer to layer", async () => {
  const shape = async (layer: number) => {
    const mixer = mixers.linformer.make({ slots: [8, 4] }, { modelWidth, heads, length: 16, causal: false, layer });
    return (mixer.init(randomKey(1)) as unknown as LinformerParams<Any>).projection!.key.weight.shape;
  };
  expect([await shape(0), await shape(1), await shape(2)]).toEqual([
    [16, 8],
    [16, 4],
    [16, 4],
  ]);
});

test("no layer can have more slots than the projection that it is lent", () => {
  const at = (settings: object, layer: number) => () =>
    mixers.linformer.make(
      { sharing: "layerwise", ...settings },
      { modelWidth, heads, length: 16, causal: false, layer },
    );
  expect(at({ slots: [4, 8] }, 1)).toThrow(
    "linformer: layers that share a learned projection have no more slots than the first, whose it is; got 8 in layer 1 and 4 in the first",
  );
  expect(at({ slots: [8, 4], projection: "convolution" }, 1)).toThrow(
    "linformer: layers that share a convolution projection have as many slots as the first",
  );
  expect(at({ slots: [8, 4] }, 1)).not.toThrow();
  expect(at({ slots: 4, projection: "convolution" }, 1)).not.toThrow();
});

test("turned keys are summed after they are turned", async () => {
  const turns = {
    query: (q: Tensor) => mul(q, 2),
    key: (k: Tensor) => mul(k, constant(fromNumbers([1, 2, 3], [3, 1]))),
  };
  const mixer = linformer({ modelWidth, heads, projection: projections.learned! });
  const view = (rotate: object) => ({ ...makeView({ pattern: fullPattern, queries: 3, keys: 3 }), ...rotate });
  const params = noisy(mixer.init(randomKey(1)));
  const run = (rotate: object) => (p: LinformerParams<Any>, x: Tensor) =>
    mixer.apply(p, { x, view: view(rotate) }, evaluation).y;
  const scaledRows = ({ query, key, ...rest }: LinformerParams<Any>, x: Tensor) => {
    const weight = mul(query.weight, 2);
    const own = { ...rest, key, query: { weight, bias: mul(query.bias!, 2) } };
    const E = own.projection!.key.weight;
    const rows = constant(fromNumbers([1, 2, 3, ...new Array<number>(longest - 3).fill(0)], [longest, 1]));
    const pair = { key: { weight: mul(E, rows) }, value: { weight: E } };
    return run({})({ ...own, projection: pair }, x);
  };
  await expectSame<LinformerParams<Any>>(
    run({ rotate: turns }),
    scaledRows,
    params,
    normal(randomKey(5), [2, 3, modelWidth]),
    device,
  );
});

test("too long a sequence, too many slots and looking only back are refused", async () => {
  const { mixer, pass } = ours("learned", "headwise");
  const run = outputsAndGradients(pass, mixer.init(randomKey(1)), input(12), device);
  await expect(run).rejects.toThrow("linformer: made for sequences of at most 11, got 12");
  expect(() => learnedProjection({ length: 3, slots: 4 })).toThrow("learnedProjection: expected at least one slot");
  const context = { modelWidth, heads, length: 8, causal: true };
  expect(() => mixers.linformer.make({}, context)).toThrow("linformer: is bidirectional only, not causal");
});
