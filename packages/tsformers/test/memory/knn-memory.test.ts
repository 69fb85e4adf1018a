import {
  abs,
  add,
  type Concrete,
  cast,
  compile,
  concat,
  constant,
  type DeviceArray,
  div,
  einsum,
  evaluate,
  expandDims,
  fromNumbers,
  gather,
  grad,
  greater,
  isNdArray,
  less,
  mapTree,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { behindMemory } from "../../src/attention/patterns/behind-memory.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { resetRows } from "../../src/depth/states.ts";
import type { Block } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import {
  type KnnMemoryOptions,
  type KnnMemoryParams,
  type KnnMemoryState,
  knnMemory,
} from "../../src/memory/knn-memory.ts";
import { rotary } from "../../src/position/rotary.ts";
import { causalBuckets, t5Bias } from "../../src/position/t5-bias.ts";
import { expectSameTrees } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [B, H, D, C] = [2, 2, 3, 6];
const bucketOf = causalBuckets({ buckets: 8, maxDistance: 16 });
const scheme = t5Bias(H, bucketOf, { buckets: 8, maxDistance: 16 });

const optionsOf = (more: Partial<KnnMemoryOptions> = {}): KnnMemoryOptions => ({
  modelWidth: C,
  heads: H,
  memoryLength: 4,
  entries: 8,
  neighbours: 3,
  ...more,
});

type Given = { readonly mixer: KnnMemoryParams; readonly table: { weight: Tensor } };

/** Weights that tell keys apart, and heads with scales and gates of their own, one scale below 0. */
function paramsOf(options: KnnMemoryOptions): Concrete<Given> {
  let seed = 0;
  const noisy = mapTree(knnMemory(options).init(randomKey(1)), isNdArray, (array) =>
    normal(randomKey(50 + seed++), array.shape),
  ) as Concrete<KnnMemoryParams>;
  const mixer = { ...noisy, scale: fromNumbers([3, -2], [H]), gate: fromNumbers([0.7, -0.4], [H]) };
  return { mixer, table: { weight: normal(randomKey(40), [8, H]) } };
}

type Segment = { readonly start: number; readonly length: number };
const segmentsOf = (lengths: readonly number[]): Segment[] =>
  lengths.map((length, i) => ({ start: lengths.slice(0, i).reduce((a, b) => a + b, 0), length }));

const unit = (x: Tensor) => div(x, sqrt(add(sum(mul(x, x), { axes: -1, keepDims: true }), 1e-6)));

/** For pairs of query and key of N positions: 1 where a condition holds, [N, N]. */
const pairs = (N: number, holds: (t: number, s: number) => number) =>
  constant(
    fromNumbers(
      Array.from({ length: N * N }, (_, i) => holds(Math.floor(i / N), i % N)),
      [N, N],
    ),
  );

/**
 * The definition, pair by pair over all positions: `near(t, s)` says which keys local attention sees, `far(t, s)` which are in the memory,
 * and `own(t, s)` which of the former have gradients. A key is a neighbour when fewer than k keys of the memory have a larger product.
 */
function dense(
  { neighbours }: KnnMemoryOptions,
  { mixer, table }: Given,
  x: Tensor,
  seen: Record<"near" | "far" | "own", (t: number, s: number) => boolean>,
): Tensor {
  const N = x.shape[1]!;
  const mask = (which: keyof typeof seen) => pairs(N, (t, s) => Number(seen[which](t, s)));
  const [near, far, own] = [mask("near"), mask("far"), mask("own")];
  const heads = (weight: Tensor) => transpose(reshape(matmul(x, weight), [B, N, H, D]), [0, 2, 1, 3]);
  const [q, k, v] = [unit(heads(mixer.query.weight)), unit(heads(mixer.key.weight)), heads(mixer.value.weight)];
  const scale = reshape(abs(mixer.scale), [1, H, 1, 1]);
  const products = (key: Tensor) => mul(scale, einsum("bhtd,bhsd->bhts", q, key));
  const kept = products(stopGradient(k));
  const buckets = Array.from({ length: N * N }, (_, i) => bucketOf((i % N) - Math.floor(i / N)));
  const bias = transpose(gather(table.weight, constant(fromNumbers(buckets, [N, N], "int32"))), [2, 0, 1]);
  const hide = (logits: Tensor, mask: Tensor) => where(greater(mask, 0), logits, -1e30);
  const weights = softmax(hide(add(where(greater(own, 0), products(k), kept), expandDims(bias, 0)), near));
  const local = add(matmul(mul(weights, own), v), matmul(mul(weights, sub(1, own)), stopGradient(v)));
  const scores = stopGradient(hide(kept, far));
  const better = sum(cast(greater(expandDims(scores, 3), expandDims(scores, 4)), "float32"), { axes: -1 });
  const chosen = mul(cast(less(better, neighbours), "float32"), far);
  const external = matmul(mul(softmax(hide(kept, chosen)), chosen), stopGradient(v));
  const any = sum(far, { axes: -1, keepDims: true });
  const g = mul(reshape(sigmoid(mixer.gate), [1, H, 1, 1]), cast(greater(any, 0), "float32"));
  const mixed = add(mul(sub(1, g), local), mul(g, external));
  return matmul(reshape(transpose(mixed, [0, 2, 1, 3]), [B, N, C]), mixer.out.weight);
}

/** The mixer over one segment, with the memory that the ones before left. */
function readSegment(options: KnnMemoryOptions, { mixer, table }: Given, x: Tensor, memory: unknown, mask?: Tensor) {
  const T = x.shape[1]!;
  const view = makeView({
    pattern: behindMemory(causal, options.memoryLength),
    queries: T,
    keys: T + options.memoryLength,
    memory: options.memoryLength,
    scores: (positions) => scheme.prepare(table, positions),
    ...(mask !== undefined && { keyMask: mask }),
  });
  const out = knnMemory(options).apply(mixer, { x, view, state: { segment: memory } }, evaluation);
  return { y: out.y, memory: out.state!.segment as KnnMemoryState };
}

const emptyOf = (options: KnnMemoryOptions) => knnMemory(options).segment!.init(B) as Concrete<KnnMemoryState>;
const asConstants = (tree: unknown) => mapTree(tree, isNdArray, (array) => constant(array));

function segmented(options: KnnMemoryOptions, params: Given, x: Tensor, segments: readonly Segment[]) {
  let memory: unknown = asConstants(emptyOf(options));
  const ys = segments.map(({ start, length }) => {
    const out = readSegment(options, params, slice(x, 1, start, start + length), memory);
    memory = out.memory;
    return out.y;
  });
  return { y: concat(ys, 1), memory: memory as KnnMemoryState };
}

const cases: readonly (readonly [string, Partial<KnnMemoryOptions>, readonly number[]])[] = [
  ["segments fill the memory several times", {}, [4, 4, 4, 4, 4]],
  ["segments of other lengths", {}, [3, 1, 7, 2, 5]],
  ["a segment longer than the memory", { entries: 4 }, [6, 5, 6]],
  ["a memory of what local attention sees", { entries: 4 }, [4, 4, 4]],
  ["segments of one position", { memoryLength: 2, neighbours: 2 }, [1, 1, 1, 1, 1, 1, 1]],
  ["all entries are neighbours", { neighbours: 8 }, [4, 4, 4, 4]],
  ["one neighbour", { neighbours: 1 }, [5, 5, 5]],
];

describe.each(cases)("%s", (_, more, lengths) => {
  const options = optionsOf(more);
  const params = paramsOf(options);
  const segments = segmentsOf(lengths);
  const N = lengths.reduce((a, b) => a + b, 0);
  const x = normal(randomKey(3), [B, N, C]);
  const startOf = (t: number) => segments.findLast(({ start }) => start <= t)!.start;

  test("segment by segment is the definition, gradients included", async () => {
    const weights = normal(randomKey(9), [B, N, C]);
    const withGradients = (read: (params: Given, x: Tensor) => Tensor) => (params: Given, x: Tensor) => ({
      y: read(params, x),
      gradients: grad((given: { params: Given; x: Tensor }) =>
        sum(mul(read(given.params, given.x), constant(weights))),
      )({ params, x }),
    });
    const run = (read: (params: Given, x: Tensor) => Tensor) =>
      evaluate(withGradients(read), device, params as never, x as never);
    const ours = await run((params, x) => segmented(options, params, x, segments).y);
    const theirs = await run((params, x) =>
      dense(options, params, x, {
        near: (t, s) => s <= t && s >= startOf(t) - options.memoryLength,
        far: (t, s) => s < startOf(t) && s >= startOf(t) - options.entries,
        own: (t, s) => startOf(t) === startOf(s),
      }),
    );
    expectSameTrees(ours.y, theirs.y);
    expectSameTrees(ours.gradients, theirs.gradients, 1e-4);
  });

  test("afterwards the ring holds the keys and values of the last positions", async () => {
    const run = (params: Given, x: Tensor) => {
      const heads = (weight: Tensor) => transpose(reshape(matmul(x, weight), [B, N, H, D]), [0, 2, 1, 3]);
      const { memory } = segmented(options, params, x, segments);
      return { memory, keys: unit(heads(params.mixer.key.weight)), values: heads(params.mixer.value.weight) };
    };
    const found = await evaluate(run, device, params as never, x as never);
    const { entries } = options;
    expect(found.memory.next.toNumbers()).toEqual([N % entries, N % entries]);
    for (const what of ["keys", "values"] as const) {
      const [kept, all] = [found.memory[what].toNumbers(), found[what].toNumbers()];
      for (let pair = 0; pair < B * H; pair++)
        for (let s = Math.max(0, N - entries); s < N; s++) {
          const place = (pair * entries + (s % entries)) * D;
          const from = (pair * N + s) * D;
          const off = [0, 1, 2].map((d) => Math.abs(kept[place + d]! - all[from + d]!));
          expect(Math.max(...off)).toBeLessThan(1e-5);
        }
    }
    const row = Array.from({ length: entries }, (_, place) => Number(place < N));
    expect(found.memory.seen.toNumbers()).toEqual([...row, ...row]);
  });
});

describe("rows", () => {
  const options = optionsOf();
  const params = paramsOf(options);
  const x = normal(randomKey(4), [B, 5, C]);
  const other = normal(randomKey(5), [B, 5, C]);
  /** Two segments, of which the second begins a document in the rows where `fresh` is 1. */
  const two = (first: NDArray, fresh: readonly number[], mask?: readonly number[]) =>
    evaluate(
      (params: Given, first: Tensor, x: Tensor, fresh: Tensor, mask: Tensor) => {
        const before = readSegment(options, params, first, asConstants(emptyOf(options)), mask);
        const layers = [knnMemory(options) as never as Block];
        const [memory] = resetRows(layers, { layers: [before.memory], fresh });
        return readSegment(options, params, x, memory).y;
      },
      device,
      params as never,
      first as never,
      x as never,
      fromNumbers([...fresh], [B]) as never,
      fromNumbers([...(mask ?? new Array<number>(B * 5).fill(1))], [B, 5]) as never,
    );
  const alone = () =>
    evaluate(
      (params: Given, x: Tensor) => {
        const view = makeView({
          pattern: causal,
          queries: 5,
          keys: 5,
          scores: (positions) => scheme.prepare(params.table, positions),
        });
        return knnMemory(options).apply(params.mixer, { x, view }, evaluation).y;
      },
      device,
      params as never,
      x as never,
    );
  const row = (array: NDArray, b: number) => array.toNumbers().slice(b * 5 * C, (b + 1) * 5 * C);
  const far = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

  test("begin with an empty memory, which is none, where a document begins", async () => {
    const [found, none, kept] = [await two(other, [0, 1]), await alone(), await two(other, [0, 0])];
    expect(far(row(found, 1), row(none, 1))).toBeLessThan(1e-5);
    expect(far(row(found, 0), row(none, 0))).toBeGreaterThan(1e-2);
    expect(row(found, 0)).toEqual(row(kept, 0));
  });

  test("do not see each other's memories", async () => {
    const changed = fromNumbers(
      other.toNumbers().map((value, i) => (i < 5 * C ? value : -value)),
      [B, 5, C],
    );
    const [a, b] = [await two(other, [0, 0]), await two(changed, [0, 0])];
    expect(row(b, 0)).toEqual(row(a, 0));
    expect(row(b, 1)).not.toEqual(row(a, 1));
  });

  test("never find padding", async () => {
    const mask = [1, 1, 1, 0, 0, 1, 1, 1, 0, 0];
    const changed = fromNumbers(
      other.toNumbers().map((value, i) => (mask[Math.floor(i / C)] === 1 ? value : 3 - value)),
      [B, 5, C],
    );
    const [a, b] = [await two(other, [0, 0], mask), await two(changed, [0, 0], mask)];
    expect(far(b.toNumbers(), a.toNumbers())).toBeLessThan(1e-5);
    expect(far(b.toNumbers(), (await two(changed, [0, 0])).toNumbers())).toBeGreaterThan(1e-2);
  });
});

describe.each([
  ["a memory that fills several times", {}, 30],
  ["less room than the memory has", { entries: 40 }, 30],
  ["no more room than local attention sees", {}, 5],
  ["fewer entries than neighbours at first", { memoryLength: 2, neighbours: 8 }, 14],
])("decoding, %s", (_, more, N) => {
  const options = optionsOf(more);
  const params = paramsOf(options);
  const x = normal(randomKey(6), [B, N, C]);

  test("a position enters the memory when local attention no longer sees it", async () => {
    const { memoryLength, entries } = options;
    const expected = await evaluate(
      (params: Given, x: Tensor) =>
        dense(options, params, x, {
          near: (t, s) => s <= t && s >= t - memoryLength,
          far: (t, s) => s < t - memoryLength && s >= t - memoryLength - entries,
          own: () => true,
        }),
      device,
      params as never,
      x as never,
    );
    const mixer = knnMemory(options);
    const step = (params: Given, x: Tensor, state: unknown, position: Tensor) => {
      const view = makeView({
        pattern: causal,
        queries: 1,
        keys: N,
        offset: position,
        scores: (positions) => scheme.prepare(params.table, positions),
      });
      return mixer.recurrent!.step(params.mixer, x, state as never, { position, view });
    };
    const compiled = compile(step as never, { device }) as unknown as (
      ...args: unknown[]
    ) => Promise<{ y: DeviceArray; state: unknown }>;
    let state: unknown = mixer.recurrent!.start(B, N);
    const numbers = x.toNumbers();
    for (let t = 0; t < N; t++) {
      const at = Array.from({ length: B * C }, (_, i) => (Math.floor(i / C) * N + t) * C + (i % C));
      const own = fromNumbers(
        at.map((i) => numbers[i]!),
        [B, 1, C],
      );
      const out = await compiled(params, own, state, fromNumbers([t], [], "int32"));
      state = out.state;
      const rows = fromNumbers(
        at.map((i) => expected.toNumbers()[i]!),
        [B, 1, C],
      );
      expectSameTrees(await out.y.read(), rows);
    }
  });
});

describe("what does not fit is refused", () => {
  test.each([
    [{ entries: 3 }, "knn-memory: entries must be at least memoryLength, got entries 3 and memoryLength 4"],
    [{ neighbours: 9 }, "knn-memory: entries must be at least neighbours, got entries 8 and neighbours 9"],
    [{ initialScale: 0 }, "knn-memory: initialScale must be a number above 0, got 0"],
    [{ initialScale: Number.NaN }, "knn-memory: initialScale must be a number above 0, got NaN"],
    [{ neighbours: 0 }, "knn-memory: neighbours must be a whole number of at least 1, got 0"],
    [{ entries: 7.5 }, "knn-memory: entries must be a whole number of at least 1, got 7.5"],
    [{ heads: 4 }, "knn-memory: modelWidth must be a multiple of heads, got modelWidth 6 and heads 4"],
  ])("%j", (more, message) => {
    expect(() => knnMemory(optionsOf(more))).toThrow(message);
  });

  test("rotated keys, and the keys of another sequence", async () => {
    const options = optionsOf({ modelWidth: 8, heads: 2 });
    const params = knnMemory(options).init(randomKey(1));
    const x = normal(randomKey(3), [B, 4, 8]);
    const run = (more: object, cross: boolean) => (params: KnnMemoryParams, x: Tensor) => {
      const view = makeView({ pattern: causal, queries: 4, keys: 4, ...more });
      const own = cross ? { cross: { key: x, value: x } } : {};
      return knnMemory(options).apply(params, { x, view, ...own }, evaluation).y;
    };
    const rotated = { rotation: rotary(4) };
    await expect(async () => evaluate(run(rotated, false), device, params as never, x as never)).rejects.toThrow(
      "knn-memory: cannot take rotated queries and keys (rotary positions): keys of earlier segments would keep",
    );
    await expect(async () => evaluate(run({}, true), device, params as never, x as never)).rejects.toThrow(
      "knn-memory: self-attention only",
    );
  });
});
