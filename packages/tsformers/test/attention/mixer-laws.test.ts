import { add, flatten, iota, isNdArray, mul, type NDArray, normal, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import type { Score } from "../../src/kinds/index.ts";
import { rotary } from "../../src/position/rotary.ts";
import { looksOf, mixedBy } from "./map-reading.ts";
import { arrayOf, inputs, mixerCases, type Prepared, prepareMixer, rowsOf, sizes } from "./mixer-cases.ts";

/** What a definition may rule out; everything else holds for all. */
type Law = "recurrent" | "map" | "looks" | "places" | "sums";

const signed = "learned sums over positions have weights of any sign and size";
const twoSteps = "one attention works on what another has mixed: no weights of the values themselves";
const sortedBlocks = "a sorted key is a mixture of several; the map names the one that weighs most";
const compressed = "a slot's value is a convolution over its positions, not a sum";
const byFeature = "each feature has weights of its own, so there is no map";
const gatedHeads = "heads are normalised and gated after values are mixed";
const lastOfBlock = "a slot is named by the last position of its block, which may be padding where others are not";

/** Sizes that fit short sequences, and the forms of a member that differ in kind. A member that is not here is taken as it comes. */
const cases = mixerCases<Law>({
  softmax: [
    { options: {} },
    { options: { qkNorm: true, cap: 3 } },
    { options: { gate: true }, exempt: { map: gatedHeads, sums: gatedHeads } },
    { options: { sink: true }, exempt: { sums: "the sink has a share, and is no position" } },
  ],
  differential: [{ options: {}, heads: 4, exempt: { map: "it has both maps of a head, before their difference" } }],
  linear: [{ options: {} }, { options: { gated: true }, only: "causal" }],
  // With few features the estimated sum of weights comes close to 0, and what is divided by it far from anything.
  rfa: [{ options: { features: 128 } }, { options: { features: 128, gated: true }, only: "causal" }],
  performer: [{ options: {} }, { options: { kernel: "relu" } }],
  etc: [{ options: { globals: 4, radius: 6, furthestLabel: 3 } }],
  longformer: [{ options: { window: 12 }, exempt: { map: "what global tokens mix has a projection of its own" } }],
  lsh: [
    { options: { chunk: 16 } },
    { options: { chunk: 16, countsOnce: true } },
    { options: { chunk: 16, sees: "own bucket" }, only: "bidirectional" },
  ],
  local: [{ options: { chunk: 16 } }],
  routing: [
    { options: { centroids: 4, window: 24 }, only: "causal" },
    {
      options: { centroids: 4, window: 24 },
      only: "bidirectional",
      exempt: { sums: "tokens that no centroid takes give 0" },
    },
  ],
  sinkhorn: [
    { options: { block: 16 }, exempt: { map: sortedBlocks, places: sortedBlocks } },
    { options: { block: 16, cut: 2 }, only: "bidirectional", exempt: { map: sortedBlocks, places: sortedBlocks } },
  ],
  linformer: [
    { options: { slots: 16 }, exempt: { sums: signed } },
    { options: { slots: 16, sharing: "none" }, exempt: { sums: signed } },
    { options: { slots: 16, projection: "mean" } },
    { options: { slots: 16, projection: "convolution", sharing: "headwise" }, exempt: { sums: signed } },
  ],
  "short-convolution": [
    { options: {}, exempt: { map: byFeature, looks: byFeature } },
    { options: { width: 7 }, exempt: { map: byFeature, looks: byFeature } },
  ],
  "delta-net": [{ options: {} }, { options: { chunk: 8 } }],
  retention: [
    { options: {}, exempt: { map: gatedHeads } },
    { options: { keyWidth: 4, valueWidth: 6, chunk: 8 }, exempt: { map: gatedHeads } },
  ],
  "gated-linear-attention": [
    { options: {}, exempt: { map: gatedHeads } },
    { options: { keyWidth: 8, valueWidth: 6, chunk: 8 }, exempt: { map: gatedHeads } },
  ],
  "gated-delta-net": [
    { options: {}, exempt: { map: gatedHeads } },
    { options: { keyWidth: 8, valueWidth: 6, chunk: 8 }, exempt: { map: gatedHeads } },
  ],
  synthesizer: [
    { options: {} },
    { options: { logits: ["table"] } },
    { options: { logits: ["fixed table"] } },
    { options: { logits: ["factorised table"] } },
    { options: { logits: ["factorised dense"] } },
    { options: { logits: ["dense", "dot product"], mixture: "softmax" } },
  ],
  "memory-compressed": [
    { options: {}, exempt: { map: compressed, places: lastOfBlock } },
    {
      options: { first: "learned", compress: "keys and values" },
      exempt: { map: compressed, places: lastOfBlock, sums: "the learned slot is no position" },
    },
  ],
  "induced-set": [
    { options: { points: 8 }, exempt: { map: twoSteps } },
    { options: { points: 8, form: "published" }, exempt: { map: twoSteps } },
  ],
  axial: [
    { options: { columns: 8 }, exempt: { map: twoSteps, sums: "the first row has no row above it to look at" } },
    {
      options: { columns: 8, arrangement: "sum" },
      only: "bidirectional",
      exempt: { sums: "two attentions are added up" },
    },
  ],
});

const device = await openCpu();
afterAll(() => device.close());

const ones = (length: number): number[] => new Array<number>(length).fill(1);

function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) throw new Error(`expected ${b.length} numbers, got ${a.length}`);
  return a.reduce((worst, x, i) => (Math.abs(x - b[i]!) <= worst ? worst : Math.abs(x - b[i]!)), 0);
}

const close = 1e-4;

/** x with other values at some positions. */
function changed(x: NDArray, positions: readonly number[], factor = 3): NDArray {
  const rows = rowsOf(x).map((row) => row.map((at, t) => (positions.includes(t) ? at.map((v) => 1 - factor * v) : at)));
  return arrayOf(rows);
}

const finite = (array: NDArray): boolean => array.toNumbers().every(Number.isFinite);

describe.each(cases.map((one) => [one.title, one] as const))("%s", (_, one) => {
  const { member, direction, exempt } = one;
  const causal = direction === "causal";
  let prepared: Promise<Prepared> | undefined;
  const prepare = (): Promise<Prepared> => {
    prepared ??= prepareMixer(one, device);
    return prepared;
  };
  afterAll(async () => (await prepared)?.release());

  test.each([1, 63, 64, 100])("mixes %i positions", async (length) => {
    const { run } = await prepare();
    const { y } = await run(inputs(length));
    expect(y.shape).toEqual([1, length, sizes.modelWidth]);
    expect(finite(y)).toBe(true);
  });

  test.runIf(direction === "causal")(
    "a position never changes what comes before it, but changes what comes after",
    async () => {
      const { run } = await prepare();
      const x = inputs(100);
      const a = rowsOf((await run(x)).y)[0]!;
      for (const at of [0, 37, 64, 99]) {
        const b = rowsOf((await run(changed(x, [at]))).y)[0]!;
        for (let t = 0; t < at; t++) expect(distance(b[t]!, a[t]!), `${at} changes ${t}`).toBeLessThan(1e-5);
        expect(Math.max(...b.slice(at).map((row, i) => distance(row, a[at + i]!))), `${at}`).toBeGreaterThan(1e-2);
      }
    },
  );

  test("positions far apart exchange something", async () => {
    const { run } = await prepare();
    const x = inputs(100);
    const a = rowsOf((await run(x)).y)[0]!;
    const b = rowsOf((await run(changed(x, [40]))).y)[0]!;
    const others = a.map((row, t) => (t === 40 ? 0 : distance(b[t]!, row)));
    expect(Math.max(...others)).toBeGreaterThan(1e-4);
  });

  test.runIf(causal && !exempt.recurrent).each([1, 63, 64, 100])(
    "%i positions one by one equal one pass",
    async (length) => {
      const { run, decode } = await prepare();
      const x = inputs(length, 3, 2);
      expect(distance((await decode(x)).toNumbers(), (await run(x)).y.toNumbers())).toBeLessThan(close);
    },
  );

  test.runIf(causal && !exempt.recurrent)("one by one, padding before and behind is passed over", async () => {
    const { run, decode } = await prepare();
    const x = inputs(12, 3, 2);
    const mask = [ones(12).fill(0, 0, 3), ones(12).fill(0, 9)];
    const [a, b] = [rowsOf(await decode(x, mask)), rowsOf((await run(x, { mask })).y)];
    for (let t = 3; t < 12; t++) expect(distance(a[0]![t]!, b[0]![t]!), `at ${t}`).toBeLessThan(close);
    for (let t = 0; t < 9; t++) expect(distance(a[1]![t]!, b[1]![t]!), `at ${t}`).toBeLessThan(close);
  });

  test("rows of a batch do not see each other", async () => {
    const { run } = await prepare();
    const [a, b] = [inputs(70, 1), inputs(70, 2)];
    const both = rowsOf((await run(arrayOf([...rowsOf(a), ...rowsOf(b)]))).y);
    expect(distance(both[0]!.flat(), (await run(a)).y.toNumbers())).toBeLessThan(close);
    expect(distance(both[1]!.flat(), (await run(b)).y.toNumbers())).toBeLessThan(close);
  });

  test("what the mask hides changes nothing", async () => {
    const { run } = await prepare();
    const hidden = [0, 1, 2, 30, 31, 60, 61, 62];
    const mask = [ones(63).map((_, t) => (hidden.includes(t) ? 0 : 1))];
    const x = inputs(63);
    const a = rowsOf((await run(x, { mask })).y)[0]!;
    const b = rowsOf((await run(changed(x, hidden, 7), { mask })).y)[0]!;
    for (let t = 0; t < 63; t++) if (!hidden.includes(t)) expect(distance(b[t]!, a[t]!), `at ${t}`).toBeLessThan(close);
  });

  test.each([
    [63, 64],
    [63, 100],
  ])("%i positions padded to %i are as alone", async (length, whole) => {
    const { run } = await prepare();
    const x = inputs(whole);
    const alone = rowsOf((await run(arrayOf([rowsOf(x)[0]!.slice(0, length)]))).y)[0]!;
    const mask = [ones(whole).fill(0, length)];
    const padded = rowsOf((await run(x, { mask })).y)[0]!.slice(0, length);
    for (const [t, row] of padded.entries()) expect(distance(row, alone[t]!), `at ${t}`).toBeLessThan(close);
  });

  test("a mask of ones is no mask", async () => {
    const { run } = await prepare();
    const x = inputs(63);
    const masked = (await run(x, { mask: [ones(63)] })).y.toNumbers();
    expect(distance(masked, (await run(x)).y.toNumbers())).toBeLessThan(close);
  });

  test("padding alone gives finite numbers, and so do its gradients", async () => {
    const { run, gradients } = await prepare();
    const x = arrayOf([...rowsOf(inputs(20, 1)), ...rowsOf(inputs(20, 2))]);
    const mask = [ones(20).fill(0), ones(20).fill(0, 15)];
    expect(finite((await run(x, { mask })).y)).toBe(true);
    const { of, ofX, paths } = await gradients(x, normal(randomKey(8), x.shape), { mask });
    expect(finite(ofX)).toBe(true);
    expect(paths.filter((_, i) => !finite(of[i]!))).toEqual([]);
  });

  test("every parameter learns", async () => {
    const { gradients } = await prepare();
    const x = inputs(100, 4, 2);
    const { paths, of, ofX } = await gradients(x, normal(randomKey(8), x.shape));
    expect(finite(ofX)).toBe(true);
    expect(paths.filter((_, i) => !finite(of[i]!))).toEqual([]);
    expect(paths.filter((_, i) => of[i]!.toNumbers().every((value) => value === 0))).toEqual([]);
  });

  test("gradients are those of central differences", async () => {
    const { slope } = await prepare();
    const x = inputs(21, 4);
    const { byGradient, byDifference } = slope(x, normal(randomKey(8), x.shape));
    expect(Math.abs(byGradient - byDifference)).toBeLessThan(1e-5 * Math.max(1, Math.abs(byDifference)));
  });

  test("the same inputs give the same outputs, with the same key of dropout too", async () => {
    const { run, release } = await prepareMixer(one, device, { dropoutRate: 0.4 });
    const x = inputs(40);
    const [plain, again] = [(await run(x)).y.toNumbers(), (await run(x)).y.toNumbers()];
    expect(again).toEqual(plain);
    const [a, b, c] = [await run(x, { key: 1 }), await run(x, { key: 1 }), await run(x, { key: 2 })];
    expect(b.y.toNumbers()).toEqual(a.y.toNumbers());
    expect(distance(c.y.toNumbers(), a.y.toNumbers())).toBeGreaterThan(1e-3);
    expect(distance(plain, a.y.toNumbers())).toBeGreaterThan(1e-3);
    await release();
  });

  test("its training state keeps its form", async () => {
    const { mixer, run } = await prepare();
    if (mixer.initTrainingState === undefined) return;
    const start = mixer.initTrainingState(randomKey(0));
    const x = inputs(64);
    const { y, training } = await run(x, { training: start, key: 1 });
    const form = (tree: unknown) => flatten(tree, isNdArray).leaves.map(({ shape, dtype }) => ({ shape, dtype }));
    expect(finite(y)).toBe(true);
    expect(form(training)).toEqual(form(start));
    expect(flatten(training, isNdArray).structure).toEqual(flatten(start, isNdArray).structure);
  });

  describe("its map", () => {
    test.runIf(!exempt.map)("has the weights that mix values", async () => {
      const { run, params } = await prepare();
      const x = inputs(63, 5, 2);
      const mask = [ones(63), ones(63).fill(0, 50)];
      const { y, map } = await run(x, { mask });
      const found = mixedBy(map!, x, params);
      for (const [b, length] of [63, 50].entries()) {
        const rows = rowsOf(y)[b]!.slice(0, length);
        for (const [t, row] of rows.entries()) expect(distance(found[b]![t]!, row), `${b}, ${t}`).toBeLessThan(close);
      }
    });

    test.runIf(!exempt.looks)("names positions that may be looked at, and weighs them to 1 in all", async () => {
      const { run } = await prepare();
      const mask = [ones(63), ones(63).fill(0, 50)];
      const { map } = await run(inputs(63, 5, 2), { mask });
      expect(map!.weights.shape.slice(0, 3)).toEqual([2, one.heads, 63]);
      const looks = looksOf(map!);
      for (const [b, length] of [63, 50].entries()) {
        for (let at = 0; at < one.heads * length; at++) {
          const [h, t] = [Math.floor(at / length), at % length];
          const own = looks(b, h, t);
          const last = causal ? t : length - 1;
          const wrong = own.filter(({ key, weight }) => Math.abs(weight) > 1e-6 && !(key >= 0 && key <= last));
          if (!exempt.places) expect(wrong, `of ${b}, ${h}, ${t}`).toEqual([]);
          const total = own.reduce((sum, { weight }) => sum + weight, 0);
          if (!exempt.sums && one.averages !== false) expect(total, `row ${b}, ${h}, ${t}`).toBeCloseTo(1, 3);
        }
      }
    });

    test.runIf(one.exponent < 2)("is no square of the length where few positions are looked at", async () => {
      const { run } = await prepare();
      const { map } = await run(inputs(128));
      if (map?.keys === undefined) return;
      expect(map.weights.shape.at(-1)).toBeLessThan(128);
    });
  });

  test("logits that are biased matter, or are refused in words", async () => {
    await mattersOrRefused(await prepare(), member, scored);
  });

  test("queries and keys that are turned matter, or are refused in words", async () => {
    await mattersOrRefused(await prepare(), member, { rotation: rotary(sizes.modelWidth / one.heads) });
  });
});

const ramp: Score = { logits: (logits) => add(logits, mul(iota(logits.shape.at(-1)!, 0, "float32"), 0.3)) };
const scored = { scores: () => ramp };

async function mattersOrRefused({ run }: Prepared, member: string, view: object): Promise<void> {
  const x = inputs(40);
  const plain = (await run(x)).y.toNumbers();
  let found: number[];
  try {
    found = (await run(x, { view })).y.toNumbers();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(/^[^:]+: .{10}/);
    return;
  }
  expect(distance(found, plain), `${member} ignores it`).toBeGreaterThan(1e-3);
}
