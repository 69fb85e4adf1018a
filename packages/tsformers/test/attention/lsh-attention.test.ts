import {
  compile,
  constant,
  fromNumbers,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { type BucketAttentionOptions, bucketAttention, unitVectors } from "../../src/attention/lsh/bucket-attention.ts";
import { startLsh, stepLsh } from "../../src/attention/lsh/lsh-decode.ts";
import { lshBuckets, usualBuckets } from "../../src/attention/lsh/lsh-hash.ts";
import { earlierInChunks, ownBucket, sameBucket, wholeChunks } from "../../src/attention/lsh/lsh-reach.ts";

const device = await openCpu();
afterAll(() => device.close());

type Pair = { readonly i: number; readonly j: number; readonly slots: number; readonly together: boolean };

/** What each reach shows, in words of the paper: of two tokens, how many slots they stand apart and whether they share a bucket. */
const sees = {
  "whole chunks": { reach: wholeChunks, shows: () => true },
  "earlier in chunks": { reach: earlierInChunks, shows: ({ i, j }: Pair) => j <= i },
  "same bucket": { reach: sameBucket(wholeChunks), shows: ({ together }: Pair) => together },
  "earlier in same bucket": {
    reach: sameBucket(earlierInChunks),
    shows: ({ i, j, together }: Pair) => together && j <= i,
  },
  "own bucket": {
    reach: ownBucket(5),
    shows: ({ i, j, slots, together }: Pair) => together && j <= i && slots <= 5,
  },
};

type Case = Omit<BucketAttentionOptions, "reach" | "keyMask" | "buckets"> & {
  readonly see: keyof typeof sees;
  readonly real?: readonly number[];
};

/** The definition for one head: round by round, entry by entry, in float64. */
function definition(q: number[][], k: number[][], v: number[][], buckets: number[][], options: Case): number[][] {
  const { chunk, chunksBack = 1, wraps, countsOnce, scale = 1, see, real } = options;
  const length = q.length;
  const { reach, shows } = sees[see];
  const plain = reach.acrossBuckets && length <= chunk;
  const rounds = plain ? [new Array<number>(length).fill(0)] : buckets;
  const size = plain ? length : chunk;
  const chunks = Math.ceil(length / size);
  const orders = rounds.map((own) => own.map((_, i) => i).sort((a, b) => own[a]! - own[b]! || a - b));
  const slotIn = orders.map((order) => order.map((_, i) => order.indexOf(i)));
  const back = plain ? 0 : chunksBack;
  const visible = (r: number, i: number, j: number): boolean =>
    (real?.[j] ?? 1) === 1 &&
    shows({ i, j, slots: slotIn[r]![i]! - slotIn[r]![j]!, together: rounds[r]![i] === rounds[r]![j] });
  const meets = (r: number, i: number, j: number): boolean => {
    const far = Math.floor(slotIn[r]![i]! / size) - Math.floor(slotIn[r]![j]! / size);
    return far >= 0 && far <= back && visible(r, i, j);
  };
  return q.map((query, i) => {
    if (real?.[i] === 0) return v[0]!.map(() => 0);
    const entries: { logit: number; j: number }[] = [];
    const add = (j: number, times: number) => {
      const product = scale * query.reduce((total, x, d) => total + x * k[j]![d]!, 0);
      entries.push({ logit: i === j ? -1e5 : product - Math.log(times), j });
    };
    for (const r of rounds.keys()) {
      const own = Math.floor(slotIn[r]![i]! / size);
      for (let far = back; far >= 0; far--) {
        let [round, at] = [r, own - far];
        if (at < 0 && !wraps) continue;
        if (at < 0) [round, at] = [(r + rounds.length - 1) % rounds.length, at + chunks];
        for (const j of orders[round]!.slice(at * size, (at + 1) * size)) {
          const inRound = round === r ? visible(r, i, j) : visible(r, i, j) && !see.includes("same bucket");
          if (inRound) add(j, countsOnce ? rounds.filter((_, other) => meets(other, i, j)).length : 1);
        }
      }
    }
    const top = Math.max(...entries.map(({ logit }) => logit));
    const total = entries.reduce((all, { logit }) => all + Math.exp(logit - top), 0);
    return v[0]!.map((_, d) =>
      entries.reduce((all, { logit, j }) => all + (Math.exp(logit - top) / total) * v[j]![d]!, 0),
    );
  });
}

const [batch, heads, width] = [2, 3, 4];
const headsOf = (x: NDArray | readonly number[], length: number, depth: number): number[][][] => {
  const values = "toNumbers" in x ? x.toNumbers() : x;
  return Array.from({ length: batch * heads }, (_, h) =>
    Array.from({ length }, (_, t) => values.slice((h * length + t) * depth, (h * length + t + 1) * depth)),
  );
};

function given(length: number, rounds: number, count: number, real?: readonly number[]) {
  const [q, k, v, weights] = [1, 2, 3, 4].map((seed) => normal(randomKey(seed), [batch, heads, length, width])) as [
    NDArray,
    NDArray,
    NDArray,
    NDArray,
  ];
  const random = normal(randomKey(5), [batch, heads, rounds, length]).toNumbers();
  const buckets = random.map((x, i) => (real?.[i % length] === 0 ? count : Math.abs(Math.floor(x * 1000)) % count));
  return { q, k, v, weights, buckets };
}

const cases: [string, number, number, Case][] = [
  ["1 position", 1, 2, { see: "whole chunks", chunk: 8 }],
  ["fewer than a chunk", 7, 2, { see: "earlier in chunks", chunk: 8 }],
  ["fewer than a chunk, in buckets", 7, 2, { see: "own bucket", chunk: 8 }],
  ["63 positions", 63, 3, { see: "whole chunks", chunk: 8 }],
  ["63 positions, causal", 63, 3, { see: "earlier in chunks", chunk: 8 }],
  ["100 positions", 100, 1, { see: "earlier in chunks", chunk: 16, scale: 0.5 }],
  ["wrapping around", 63, 3, { see: "earlier in chunks", chunk: 8, wraps: true }],
  ["wrapping around, not causal", 64, 2, { see: "whole chunks", chunk: 8, wraps: true }],
  ["wrapping around, in buckets", 60, 2, { see: "same bucket", chunk: 8, wraps: true }],
  ["one bucket, wrapping around", 40, 2, { see: "earlier in same bucket", chunk: 8, wraps: true }],
  ["own bucket", 100, 3, { see: "own bucket", chunk: 6 }],
  ["no look back", 40, 2, { see: "whole chunks", chunk: 8, chunksBack: 0 }],
  ["two looks back", 63, 2, { see: "earlier in chunks", chunk: 8, chunksBack: 2 }],
  ["counting once", 63, 3, { see: "earlier in chunks", chunk: 8, countsOnce: true }],
  ["counting once in buckets", 63, 4, { see: "same bucket", chunk: 8, countsOnce: true }],
  ["counting once in the own bucket", 63, 4, { see: "own bucket", chunk: 8, countsOnce: true }],
  ["padding", 63, 2, { see: "earlier in chunks", chunk: 8, real: pads(63, [0, 1, 30, 60, 61, 62]) }],
  ["padding, not causal", 40, 2, { see: "whole chunks", chunk: 8, real: pads(40, [3, 38, 39]) }],
  ["a head at a time", 63, 2, { see: "earlier in chunks", chunk: 8, logitsAtATime: 2 * 64 * 16 }],
  ["a round of two heads at a time", 40, 3, { see: "earlier in chunks", chunk: 8, logitsAtATime: 2 * 40 * 16 }],
  ["a round of a head at a time", 63, 3, { see: "own bucket", chunk: 8, logitsAtATime: 1, countsOnce: true }],
  ["a head at a time, wrapping around", 63, 3, { see: "earlier in chunks", chunk: 8, wraps: true, logitsAtATime: 1 }],
  ["padding, own bucket", 40, 2, { see: "own bucket", chunk: 8, real: pads(40, [0, 1, 39]) }],
];

function pads(length: number, hidden: readonly number[]): number[] {
  return Array.from({ length }, (_, i) => (hidden.includes(i) ? 0 : 1));
}

describe("bucketAttention", () => {
  test.each(cases)("%s: outputs and gradients are those of the definition", async (name, length, rounds, options) => {
    const count = name.startsWith("one bucket") ? 1 : 6;
    const { real, see, ...rest } = options;
    const { q, k, v, weights, buckets } = given(length, rounds, count, real);
    const mask = real && ndarray([...real, ...real], [batch, length]);
    const core = (rows: { q: Tensor; k: Tensor; v: Tensor }): Tensor => {
      const own = constant(fromNumbers(buckets, [batch, heads, rounds, length], "int32"));
      const keyMask = mask === undefined ? {} : { keyMask: constant(mask) };
      return bucketAttention(rows, own, { ...rest, reach: sees[see].reach, buckets: 6, ...keyMask }).mixed;
    };
    const both = compile(
      (rows: { q: Tensor; k: Tensor; v: Tensor }, weights: Tensor) => ({
        out: core(rows),
        ...valueAndGrad((rows: { q: Tensor; k: Tensor; v: Tensor }) => sum(mul(core(rows), weights)))(rows),
      }),
      { device },
    );
    const { out, gradient } = (await readTree(await both({ q, k, v }, weights))) as unknown as {
      out: NDArray;
      gradient: { q: NDArray; k: NDArray; v: NDArray };
    };
    const byRound = Array.from({ length: batch * heads * rounds }, (_, i) =>
      buckets.slice(i * length, (i + 1) * length),
    );
    const define = (q: NDArray | number[], k: NDArray | number[], v: NDArray | number[]): number[] => {
      const [qs, ks, vs] = [q, k, v].map((x) => headsOf(x, length, width)) as [
        number[][][],
        number[][][],
        number[][][],
      ];
      return qs.flatMap((own, h) =>
        definition(own, ks[h]!, vs[h]!, byRound.slice(h * rounds, (h + 1) * rounds), options).flat(),
      );
    };
    const expected = define(q, k, v);
    expect(Math.max(...out.toNumbers().map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThan(1e-5);

    const direction = [q, k, v].map((x, i) => normal(randomKey(20 + i), x.shape).toNumbers());
    const moved = (by: number): number[][] =>
      [q, k, v].map((x, i) => x.toNumbers().map((value, at) => value + by * direction[i]![at]!));
    const value = (by: number): number => {
      const [a, b, c] = moved(by) as [number[], number[], number[]];
      return define(a, b, c).reduce((total, x, i) => total + x * weights.toNumbers()[i]!, 0);
    };
    const byDifference = (value(1e-5) - value(-1e-5)) / 2e-5;
    const byGradient = [gradient.q, gradient.k, gradient.v]
      .flatMap((g, i) => g.toNumbers().map((x, at) => x * direction[i]![at]!))
      .reduce((a, b) => a + b, 0);
    expect(Math.abs(byGradient - byDifference)).toBeLessThan(1e-4 * Math.max(1, Math.abs(byDifference)));
  });

  test("a token that is alone in all rounds gives each of them the same weight, and itself all of it", async () => {
    const { q, k, v, buckets } = given(40, 3, 6);
    const program = compile(
      (q: Tensor, k: Tensor, v: Tensor, buckets: Tensor) => {
        const options = { reach: earlierInChunks, buckets: 6, chunk: 8 };
        const { mixed, roundWeights } = bucketAttention({ q, k, v }, buckets, options);
        return { mixed, weights: roundWeights() };
      },
      { device },
    );
    const own = fromNumbers(buckets, [batch, heads, 3, 40], "int32");
    const found = (await readTree(await program(q, k, v, own))) as unknown as { mixed: NDArray; weights: NDArray };
    for (const round of [0, 1, 2]) expect(found.weights.toNumbers()[round * 40]).toBeCloseTo(1 / 3, 6);
    expect(found.mixed.toNumbers().slice(0, width)).toEqual(
      v
        .toNumbers()
        .slice(0, width)
        .map((x) => expect.closeTo(x, 6)),
    );
  });

  test("asks for chunks that hold what the reach shows", () => {
    const run = (chunk: number) =>
      compile((q: Tensor) => bucketAttention({ q, k: q, v: q }, q, { reach: ownBucket(9), buckets: 2, chunk }).mixed, {
        device,
      }).prepare(normal(randomKey(1), [1, 1, 4, 4]));
    return expect(run(8)).rejects.toThrow("bucketAttention: 1 chunks of 8 hold no 9 earlier tokens");
  });
});

describe("lshBuckets", () => {
  test.each([
    ["one factor", [6]],
    ["two factors", [4, 6]],
  ] as const)("%s: the nearest half-axis of each turned frame", async (_, factors) => {
    const half = factors.reduce((sum, factor) => sum + factor, 0) / 2;
    const x = normal(randomKey(1), [batch, heads, 9, width]);
    const rotations = normal(randomKey(2), [heads, 2, half, width]);
    const mask = ndarray([1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1], [batch, 9]);
    const run = compile((x: Tensor, rotations: Tensor, mask: Tensor) => lshBuckets(x, rotations, factors, mask), {
      device,
    });
    const found = (await (await run(x, rotations, mask)).read()).toNumbers();
    const frames = rotations.toNumbers();
    const rows = headsOf(x, 9, width);
    for (let line = 0; line < batch * heads; line++) {
      for (let round = 0; round < 2; round++) {
        rows[line]!.forEach((vector, t) => {
          const axis = (m: number): number => {
            const from = (((line % heads) * 2 + round) * half + m) * width;
            return vector.reduce((total, value, d) => total + value * frames[from + d]!, 0);
          };
          let [expected, product, first] = [0, 1, 0];
          for (const factor of factors) {
            const own = Array.from({ length: factor / 2 }, (_, m) => axis(first + m));
            const both = [...own, ...own.map((value) => -value)];
            expected += product * both.indexOf(Math.max(...both));
            product *= factor;
            first += factor / 2;
          }
          const padded = line < heads && t === 8;
          expect(found[(line * 2 + round) * 9 + t]).toBe(padded ? product : expected);
        });
      }
    }
  });

  test("about two buckets a chunk, factored where there are many", () => {
    expect(usualBuckets(63, 64)).toBe(2);
    expect(usualBuckets(1024, 64)).toBe(32);
    expect(usualBuckets(16_384, 64)).toEqual([32, 16]);
    expect(() => lshBuckets({} as Tensor, {} as Tensor, 3)).toThrow("even number of buckets");
  });
});

describe("one position at a time", () => {
  /** The parallel form under a reach, and decoding that remembers `window` tokens of each bucket. */
  async function compare(length: number, reach: typeof wholeChunks, chunk: number, window: number, count: number) {
    const { q, v, buckets } = given(length, 2, count);
    const array = fromNumbers(buckets, [batch, heads, 2, length], "int32");
    const parallel = compile(
      (q: Tensor, v: Tensor, buckets: Tensor) =>
        bucketAttention({ q, k: unitVectors(q), v }, buckets, { reach, buckets: 6, chunk }).mixed,
      { device },
    );
    const expected = headsOf(await (await parallel(q, v, array)).read(), length, width);
    const step = compile(
      (q: Tensor, v: Tensor, buckets: Tensor, state: Parameters<typeof stepLsh>[0], position: Tensor) =>
        stepLsh(state, { q, k: unitVectors(q), v }, buckets, { position, scale: 1 }),
      { device },
    );
    let state: unknown = startLsh(batch, length, { heads, headWidth: width, rounds: 2, buckets: 7, window });
    const at = (x: NDArray, t: number) =>
      ndarray(
        headsOf(x, length, width).flatMap((rows) => rows[t]!),
        [batch, heads, 1, width],
      );
    let worst = 0;
    for (let t = 0; t < length; t++) {
      const own = Array.from({ length: batch * heads * 2 }, (_, line) => buckets[line * length + t]!);
      const found = (await step(
        at(q, t),
        at(v, t),
        fromNumbers(own, [batch, heads, 2, 1], "int32"),
        state as never,
        ndarray(t, [], "int32"),
      )) as unknown as { mixed: { read(): Promise<NDArray> }; state: unknown };
      state = found.state;
      const mixed = (await found.mixed.read()).toNumbers();
      expected.forEach((rows, line) => {
        rows[t]!.forEach((x, d) => {
          worst = Math.max(worst, Math.abs(x - mixed[line * width + d]!));
        });
      });
    }
    return worst;
  }

  test("equals the parallel form of the own bucket, however many tokens a bucket has", async () => {
    expect(await compare(60, ownBucket(5), 6, 5, 3)).toBeLessThan(1e-5);
  });

  test("equals that of chunks in the same bucket where no bucket has more tokens than a chunk", async () => {
    expect(await compare(24, sameBucket(earlierInChunks), 16, 32, 6)).toBeLessThan(1e-5);
  });

  test("differs from it where chunks cut buckets, since where they cut depends on later tokens", async () => {
    expect(await compare(60, sameBucket(earlierInChunks), 4, 8, 3)).toBeGreaterThan(1e-2);
  });
});

test("later tokens choose which earlier ones share a chunk, but not those of the own bucket", async () => {
  const { q, k, v, buckets } = given(60, 2, 6);
  const changed = buckets.map((bucket, i) => (i % 60 >= 50 ? 5 - bucket : bucket));
  const earlier = async (reach: typeof wholeChunks) => {
    const run = compile(
      (q: Tensor, k: Tensor, v: Tensor, buckets: Tensor) =>
        bucketAttention({ q, k, v }, buckets, { reach, buckets: 6, chunk: 8 }).mixed,
      { device },
    );
    const outs = [buckets, changed].map(async (own) =>
      headsOf(await (await run(q, k, v, fromNumbers(own, [batch, heads, 2, 60], "int32"))).read(), 60, width),
    );
    const [a, b] = (await Promise.all(outs)) as [number[][][], number[][][]];
    return Math.max(
      ...a.flatMap((rows, h) => rows.slice(0, 50).flatMap((row, t) => row.map((x, d) => Math.abs(x - b[h]![t]![d]!)))),
    );
  };
  expect(await earlier(earlierInChunks)).toBeGreaterThan(1e-2);
  expect(await earlier(ownBucket(8))).toBeLessThan(1e-6);
});
