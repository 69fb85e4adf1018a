import {
  add,
  constant,
  convert,
  evaluate,
  full as filled,
  iota,
  matmul,
  mul,
  type NDArray,
  ndarray,
  ones,
  randomKey,
  reshape,
  softmax,
  sum,
  type Tensor,
  valueAndGradWithExtra,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { denseMask, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { alibi, alibiSlopes } from "../../src/position/alibi.ts";
import { exactAngles, frequencies, inclusiveFrequencies, roundedAngles } from "../../src/position/angles.ts";
import { halves, neighbours, rotary } from "../../src/position/rotary.ts";
import { concatenated, interleaved, sinusoidal } from "../../src/position/sinusoidal.ts";
import { bidirectionalBuckets, causalBuckets, t5Bias } from "../../src/position/t5-bias.ts";
import { mechanismCases } from "../fixtures/mechanism.ts";

const device = await openCpu();

function expectWithin(found: readonly number[], expected: readonly number[], absolute: number, relative: number): void {
  expect(found.length).toBe(expected.length);
  const off = found.findIndex((x, i) => !(Math.abs(x - expected[i]!) <= absolute + relative * Math.abs(expected[i]!)));
  expect(off < 0 ? "within" : `${found[off]} at ${off}, expected ${expected[off]}`).toBe("within");
}

describe("sinusoidal", () => {
  test.each(mechanismCases("sinusoidal"))("$name agrees with the fixture", async ({ options, arrays }) => {
    const { layout, denominator, d, base } = options as unknown as {
      layout: string;
      denominator: string;
      d: number;
      base: number;
    };
    const scheme = sinusoidal(d, {
      layout: layout === "interleaved" ? interleaved : concatenated,
      frequencies: denominator === "d" ? frequencies(d, base) : inclusiveFrequencies(Math.floor(d / 2), base),
    });
    const positions = convert(arrays.get("positions")!, "int32");
    const found = await evaluate((p: Tensor) => scheme.apply({}, p), device, positions);
    // The exact angles earn the fixture's float64 tolerance at every position, up to 4,095; float32 sines add 5e-7.
    expectWithin((found as NDArray).toNumbers(), arrays.get("out")!.toNumbers(), 2e-6, 0);
  });
});

describe("alibi", () => {
  const cases = mechanismCases("alibi");
  test.each(cases.filter(({ arrays }) => arrays.has("heads")))("$name: slopes agree with the fixture", ({ arrays }) => {
    expectWithin(alibiSlopes(arrays.get("heads")!.item()), arrays.get("out")!.toNumbers(), 1e-7, 1e-6);
  });
  test.each(cases.filter(({ arrays }) => arrays.has("q")))(
    "$name: attention and its gradients agree with the fixture",
    async ({ options, arrays }) => {
      const { causal: isCausal, heads } = options as unknown as { causal: boolean; heads: number };
      const [q, k, v, R] = ["q", "k", "v", "R"].map((name) => arrays.get(name)!) as [
        NDArray,
        NDArray,
        NDArray,
        NDArray,
      ];
      const [T, S, D] = [q.shape[2]!, k.shape[2]!, q.shape[3]!];
      const pass = (given: { q: Tensor; k: Tensor; v: Tensor }, R: Tensor) => {
        const at = { query: add(iota(T), S - T), key: iota(S) };
        const scale = 1 / Math.sqrt(D);
        const raw = matmul(given.q, given.k, { transposeB: true, scale });
        const scored = alibi(heads).prepare({}, at).logits(raw, { query: given.q, key: given.k, scale });
        const shown: Pattern = { name: "shown", keys: (query) => [0, isCausal ? query + S - T + 1 : S] };
        const visible = constant(denseMask(shown, T, S));
        const probs = softmax(where(visible, scored, -1e30));
        const out = matmul(probs, given.v);
        return [sum(mul(out, R)), { out, probs }] as const;
      };
      const found = await evaluate(valueAndGradWithExtra(pass), device, { q, k, v }, R);
      const { extra, gradient } = found as unknown as {
        extra: Record<string, NDArray>;
        gradient: Record<string, NDArray>;
      };
      for (const name of ["out", "probs"])
        expectWithin(extra[name]!.toNumbers(), arrays.get(name)!.toNumbers(), 1e-5, 1e-5);
      for (const name of ["q", "k", "v"])
        expectWithin(gradient[name]!.toNumbers(), arrays.get(`grad.${name}`)!.toNumbers(), 2e-5, 1e-4);
    },
  );
});

test("alibi per direction: even heads look back and odd ones ahead, with the slopes of half as many heads", async () => {
  const run = (zero: Tensor) =>
    alibi(4, { perDirection: true })
      .prepare({}, { query: iota(3), key: iota(3) })
      .logits(zero, { query: zero, key: zero, scale: 1 });
  const found = ((await evaluate(run, device, filled([1, 4, 3, 3], 0))) as NDArray).toNumbers();
  const expected = [0, 1, 2, 3].flatMap((head) =>
    [0, 1, 2].flatMap((t) =>
      [0, 1, 2].map((s) => {
        const behind = head % 2 === 0 ? t - s : s - t;
        return behind < 0 ? -1e30 : -behind * (head < 2 ? 1 / 16 : 1 / 256);
      }),
    ),
  );
  expectWithin(found, expected, 1e-7, 1e-6);
});

describe("t5 bias", () => {
  test.each(mechanismCases("t5_buckets"))("$name: buckets are those of the fixture", ({ options, arrays }) => {
    const {
      num_buckets: buckets,
      max_distance: maxDistance,
      bidirectional,
    } = options as unknown as {
      num_buckets: number;
      max_distance: number;
      bidirectional: boolean;
    };
    const bucketOf = (bidirectional ? bidirectionalBuckets : causalBuckets)({ buckets, maxDistance });
    expect(arrays.get("relative_position")!.toNumbers().map(bucketOf)).toEqual(arrays.get("out")!.toNumbers());
  });

  test("the bias of a pair is the table's entry for its bucket, far distances and batches of positions included", async () => {
    const bucketOf = bidirectionalBuckets({ buckets: 8, maxDistance: 10 });
    const scheme = t5Bias(3, bucketOf, { buckets: 8, maxDistance: 10 });
    const { weight } = scheme.init(randomKey(1)) as { weight: NDArray };
    const table = weight.toNumbers();
    const at = [
      [0, 3, 50],
      [7, 8, 9],
    ];
    const positions = ndarray(Int32Array.from(at.flat()), [2, 3]);
    const found = await evaluate(
      (weight: Tensor, at: Tensor, zero: Tensor) =>
        scheme.prepare({ weight }, { query: at, key: at }).logits(zero, { query: zero, key: zero, scale: 1 }),
      device,
      weight,
      positions,
      filled([2, 3, 3, 3], 0),
    );
    const expected = at.flatMap((row) =>
      [0, 1, 2].flatMap((h) => row.flatMap((query) => row.map((key) => table[bucketOf(key - query) * 3 + h]!))),
    );
    expectWithin((found as NDArray).toNumbers(), expected, 1e-7, 0);
  });
});

describe("rotary", () => {
  const rotate = async (
    options: Parameters<typeof rotary>[1],
    x: readonly number[],
    position: number,
  ): Promise<number[]> => {
    const turn = (x: Tensor, at: Tensor) => rotary(x.shape[3]!, options).prepare({ query: at, key: at }).query(x);
    const found = await evaluate(
      turn,
      device,
      ndarray(Float32Array.from(x), [1, 1, 1, x.length]),
      ndarray(Int32Array.of(position), [1]),
    );
    return (found as NDArray).toNumbers();
  };
  const turned = ([x, y]: [number, number], angle: number): [number, number] => [
    x * Math.cos(angle) - y * Math.sin(angle),
    x * Math.sin(angle) + y * Math.cos(angle),
  ];

  test("neighbours and halves pair what their names say", async () => {
    const [a, b] = [turned([1, 2], 5), turned([3, 4], 5 * 0.01)];
    expectWithin(await rotate({ pairing: neighbours }, [1, 2, 3, 4], 5), [...a, ...b], 1e-5, 0);
    const [c, d] = [turned([1, 3], 5), turned([2, 4], 5 * 0.01)];
    expectWithin(await rotate({ pairing: halves }, [1, 2, 3, 4], 5), [c[0], d[0], c[1], d[1]], 1e-5, 0);
  });

  test("features beyond the rotated ones stay, and the base is respected", async () => {
    const [a, b] = [turned([1, 2], 3), turned([3, 4], 3 / Math.sqrt(500))];
    expectWithin(
      await rotate({ pairing: neighbours, rotated: 4, base: 500 }, [1, 2, 3, 4, 5, 6], 3),
      [...a, ...b, 5, 6],
      1e-5,
      0,
    );
  });

  test("products depend on the distance alone", async () => {
    const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
    const [q, k] = [
      [1, -2, 0.5, 3],
      [0.3, 1, -1, 2],
    ];
    const near = dot(await rotate({}, q, 7), await rotate({}, k, 3));
    const far = dot(await rotate({}, q, 4007), await rotate({}, k, 4003));
    expect(far).toBeCloseTo(near, 4);
  });

  test("a number of features that cannot be paired is refused", () => {
    expect(() => rotary(6, { rotated: 3 })).toThrow("number must be even");
    expect(() => rotary(4, { rotated: 6 })).toThrow("at most 4");
  });
});

/** Waves of float64, which for these positions are exact to 1e-10. */
const waveOf = (at: readonly number[], omega: readonly number[], of: (angle: number) => number) =>
  at.flatMap((p) => omega.map((frequency) => of(p * frequency)));
const worst = (array: NDArray, expected: readonly number[]) =>
  Math.max(...array.toNumbers().map((x, i) => Math.abs(x - expected[i]!)));

/** Sines and cosines below 1 have an error of 2⁻²⁵ in the tables; two sums of angles round each of them six times more. */
const exact = 7 * 2 ** -25;

describe.each([
  ["small", 0],
  ["long", 16_384],
  ["a million", 999_500],
  ["negative", -1_048_576],
])("at %s positions", (_, first) => {
  const at = Array.from({ length: 500 }, (_, i) => first + i);
  const omega = frequencies(32);

  test.each([
    ["known while tracing", () => add(iota(at.length), first)],
    ["that come later", (p: Tensor) => p],
    ["of each row", (p: Tensor) => reshape(p, [2, 250])],
  ])("exact angles agree with float64, positions %s", async (_, placed) => {
    const found = await evaluate((p: Tensor) => exactAngles(omega)(placed(p)), device, positionsOf(at));
    const { sin, cos } = found as unknown as Record<"sin" | "cos", NDArray>;
    expect(worst(sin, waveOf(at, omega, Math.sin))).toBeLessThan(exact);
    expect(worst(cos, waveOf(at, omega, Math.cos))).toBeLessThan(exact);
  });

  test.each([
    ["interleaved", interleaved],
    ["concatenated", concatenated],
  ])("%s sinusoids agree with float64", async (name, layout) => {
    const run = (p: Tensor) => sinusoidal(32, { layout }).apply({}, p);
    const found = (await evaluate(run, device, positionsOf(at))) as unknown as NDArray;
    const expected = at.flatMap((p) => {
      const [sines, cosines] = [waveOf([p], omega, Math.sin), waveOf([p], omega, Math.cos)];
      return name === "concatenated" ? [...sines, ...cosines] : sines.flatMap((sin, k) => [sin, cosines[k]!]);
    });
    expect(worst(found, expected)).toBeLessThan(exact);
  });

  test.each([
    ["halves", halves],
    ["neighbours", neighbours],
  ])("rotation of %s agrees with float64", async (name, pairing) => {
    const run = (p: Tensor) =>
      rotary(32, { pairing })
        .prepare({ query: p, key: p })
        .query(ones([1, 1, at.length, 32]));
    const found = (await evaluate(run, device, positionsOf(at))) as unknown as NDArray;
    const expected = at.flatMap((p) => {
      const pairs = omega.map((o) => [Math.cos(p * o) - Math.sin(p * o), Math.sin(p * o) + Math.cos(p * o)]);
      return name === "neighbours" ? pairs.flat() : [0, 1].flatMap((side) => pairs.map((pair) => pair[side]!));
    });
    // A sine and a cosine are added, and the sum of up to √2 is rounded.
    expect(worst(found, expected)).toBeLessThan(2 * exact + 2 ** -24);
  });
});

test("rounded angles are those of PyTorch: a float32 product", async () => {
  const omega = frequencies(32);
  const at = [0, 1, 999, 4095, 16_383];
  const found = await evaluate((p: Tensor) => roundedAngles(omega)(p).sin, device, positionsOf(at));
  const products = at.flatMap((p) => omega.map((o) => Math.sin(Math.fround(p * Math.fround(1 / Math.fround(1 / o))))));
  expect(worst(found as unknown as NDArray, products)).toBeLessThan(2e-6);
  expect(worst(found as unknown as NDArray, waveOf(at, omega, Math.sin))).toBeGreaterThan(1e-5);
});

const positionsOf = (at: readonly number[]) => ndarray(Int32Array.from(at), [at.length]);
