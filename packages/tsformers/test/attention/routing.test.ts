import {
  add,
  type Concrete,
  compile,
  constant,
  evaluate,
  flatten,
  fromNumbers,
  integers,
  isNdArray,
  keyToArray,
  matmul,
  mul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  softmax,
  sub,
  sum,
  type Tensor,
  valueAndGrad,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { balancedMembers, nearestMembers, type RoutingOptions, routing } from "../../src/attention/routing/routing.ts";
import { balancedAttention, topMembers } from "../../src/attention/routing/routing-balanced.ts";
import {
  type Centroids,
  commitmentLoss,
  meansOf,
  nearestCentroids,
  nearness,
  nextCentroids,
  scoresOfMean,
  startCentroids,
} from "../../src/attention/routing/routing-centroids.ts";
import { nearestAttention } from "../../src/attention/routing/routing-nearest.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { looksOf } from "./map-reading.ts";

const device = await openCpu();
const [B, H, D] = [2, 3, 4];

type Qkv = { q: Tensor; k: Tensor; v: Tensor };
type Attend = (of: Qkv) => Tensor;

function near(a: NDArray, b: NDArray): void {
  expect(a.shape).toEqual(b.shape);
  const other = b.toNumbers();
  a.toNumbers().forEach((value, i) => void expect(value, `element ${i}`).toBeCloseTo(other[i]!, 5));
}

/** Outputs of real queries, and gradients of a weighted sum of them. */
async function expectEqual(a: Attend, b: Attend, length: number, mask?: NDArray): Promise<void> {
  const [q, k, v, r] = [1, 2, 3, 4].map((seed) => normal(randomKey(seed), [B, H, length, D])) as NDArray[];
  const real = (i: number) =>
    mask?.toNumbers()[Math.floor(i / (H * length * D)) * length + (Math.floor(i / D) % length)] ?? 1;
  const weights = fromNumbers(
    r!.toNumbers().map((x, i) => x * real(i)),
    r!.shape,
  );
  const results = async (attend: Attend) => {
    const weighted = (of: Qkv, weights: Tensor) => mul(attend(of), weights);
    const of = { q: q!, k: k!, v: v! };
    const { gradient } = await readTree(
      await compile(
        valueAndGrad((of: Qkv, weights: Tensor) => sum(weighted(of, weights))),
        { device },
      )(of, weights),
    );
    return { out: await evaluate(weighted, device, of, weights), ...(gradient as unknown as Concrete<Qkv>) };
  };
  const [fast, plain] = [await results(a), await results(b)];
  for (const name of ["out", "q", "k", "v"] as const) near(fast[name], plain[name]);
}

type Sees = (batch: number, head: number, query: number, key: number) => boolean;

/** All pairs computed: `Σ_c softmax(scale·q·kᵀ over those that c lets q see)·v`, divided by the number of clusters of each query. */
function definition(
  clusters: readonly Sees[],
  count: (batch: number, head: number, query: number) => number,
  length: number,
  scale: number,
): Attend {
  const everywhere = <T>(keys: number, of: (b: number, h: number, t: number, s: number) => T): T[] =>
    Array.from({ length: B * H * length * keys }, (_, i) => {
      const [s, t] = [i % keys, Math.floor(i / keys) % length];
      const head = Math.floor(i / (keys * length));
      return of(Math.floor(head / H), head % H, t, s);
    });
  const shares = fromNumbers(
    everywhere(1, (b, h, t) => 1 / Math.max(1, count(b, h, t))),
    [B, H, length, 1],
  );
  const masks = clusters.map((sees) =>
    fromNumbers(
      everywhere(length, (b, h, t, s) => Number(sees(b, h, t, s))),
      [B, H, length, length],
      "bool",
    ),
  );
  return ({ q, k, v }) => {
    const logits = matmul(q, k, { transposeB: true, scale });
    const weights = masks.map((mask) => where(constant(mask), softmax(where(constant(mask), logits, -1e30)), 0));
    return matmul(
      mul(
        weights.reduce((a, b) => add(a, b)),
        shares,
      ),
      v,
    );
  };
}

/** The first row is padded in the middle, the second at both ends. */
function padded(length: number): NDArray {
  const hidden = (b: number, t: number) => (b === 0 ? t % 7 === 3 : t < 2 || t >= length - 4);
  return ndarray(
    Int32Array.from({ length: B * length }, (_, i) => (hidden(Math.floor(i / length), i % length) ? 0 : 1)),
    [B, length],
  );
}

test.each([
  [1, "all real", {}],
  [2, "all real", {}],
  [63, "all real", {}],
  [100, "all real", {}],
  [63, "padded", { keyMask: padded(63) }],
  [1, "itself only if alone", { selfLogit: -1e4 }],
  [63, "itself only if alone", { selfLogit: -1e4 }],
  [63, "itself only if alone, padded", { selfLogit: -1e4, keyMask: padded(63) }],
] as const)("nearest, %i positions, %s: the last 5 members of the own cluster", async (length, _, given) => {
  const { keyMask: mask, selfLogit }: { keyMask?: NDArray; selfLogit?: number } = given;
  const cluster = integers(randomKey(7), [B, H, length], { low: 0, high: 4 });
  const at = cluster.toNumbers();
  const of = (b: number, h: number, t: number) => at[(b * H + h) * length + t]!;
  const real = (b: number, t: number) => mask?.toNumbers()[b * length + t] !== 0;
  /** Members of the cluster of t behind s, up to t. */
  const between = (b: number, h: number, t: number, s: number) => {
    let found = 0;
    for (let i = s + 1; i <= t; i++) if (real(b, i) && of(b, h, i) === of(b, h, t)) found++;
    return found;
  };
  const sees: Sees = (b, h, t, s) => {
    if (s > t || !real(b, s) || of(b, h, s) !== of(b, h, t)) return false;
    if (selfLogit !== undefined && s === t) return between(b, h, t, -1) === 1;
    return between(b, h, t, s) < 5;
  };
  const fast: Attend = ({ q, k, v }) =>
    nearestAttention(q, k, v, constant(cluster), {
      window: 5,
      scale: 0.7,
      context: evaluation,
      ...(selfLogit !== undefined && { selfLogit }),
      ...(mask === undefined ? {} : { keyMask: constant(mask) }),
    }).mixed;
  await expectEqual(
    fast,
    definition([sees], () => 1, length, 0.7),
    length,
    mask,
  );
});

test.each([
  [1, "all real", undefined],
  [63, "all real", undefined],
  [63, "padded", padded(63)],
])("balanced, %i positions, %s: the mean over the clusters that one is in", async (length, _, mask) => {
  const [clusters, window] = [6, Math.min(10, length)];
  const scores = [11, 12].map((seed) => normal(randomKey(seed), [B, H, clusters, length])) as [NDArray, NDArray];
  const real = (b: number, t: number) => mask?.toNumbers()[b * length + t] !== 0;
  const member = scores.map((array) => {
    const all = array.toNumbers();
    return Array.from({ length: B * H * clusters }, (_, row) => {
      const b = Math.floor(row / (H * clusters));
      const order = Array.from({ length }, (_, t) => t).filter((t) => real(b, t));
      return new Set(order.sort((i, j) => all[row * length + j]! - all[row * length + i]!).slice(0, window));
    });
  }) as [Set<number>[], Set<number>[]];
  const isIn = (side: 0 | 1, c: number, b: number, h: number, t: number) =>
    member[side][(b * H + h) * clusters + c]!.has(t);
  const numbers = Array.from({ length: clusters }, (_, c) => c);
  const plain = definition(
    numbers.map(
      (c): Sees =>
        (b, h, t, s) =>
          isIn(0, c, b, h, t) && isIn(1, c, b, h, s),
    ),
    (b, h, t) => numbers.filter((c) => isIn(0, c, b, h, t)).length,
    length,
    0.7,
  );
  const fast: Attend = ({ q, k, v }) => {
    const keyMask = mask && constant(mask);
    return balancedAttention(q, k, v, {
      queries: topMembers(constant(scores[0]), window, keyMask),
      keys: topMembers(constant(scores[1]), window, keyMask),
      causal: false,
      scale: 0.7,
      context: evaluation,
      ...(keyMask === undefined ? {} : { keyMask }),
    }).mixed;
  };
  await expectEqual(fast, plain, length, mask);
});

test("a causal mask needs clusters of one set of tokens", async () => {
  const [x, scores] = [normal(randomKey(1), [1, 1, 4, 4]), normal(randomKey(2), [1, 1, 2, 4])];
  const run = evaluate(
    (x: Tensor, scores: Tensor) => {
      const [queries, keys] = [topMembers(scores, 2), topMembers(mul(scores, -1), 2)];
      return balancedAttention(x, x, x, { queries, keys, causal: true, scale: 1, context: evaluation }).mixed;
    },
    device,
    x,
    scores,
  );
  await expect(run).rejects.toThrow("same queries and keys");
});

test("centroids follow their points, smoothed, without padding; the loss draws points to them", async () => {
  const [T, k, decay, beta] = [9, 3, 0.9, 0.5];
  const points = normal(randomKey(1), [B, H, T, D]);
  const start = startCentroids(randomKey(2), H, k, D);
  const mask = ndarray(Int32Array.of(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0), [B, T]);
  const pass = (points: Tensor, from: Centroids, keyMask: Tensor) => {
    const means = meansOf(from);
    const set = { points, nearest: nearestCentroids(nearness(points, means)), keyMask };
    return { next: nextCentroids(from, [set, set], decay), means, loss: commitmentLoss(means, set, beta) };
  };
  const { next, means, loss } = await evaluate(pass, device, points, start, mask);
  const { gradient } = await readTree(
    await compile(
      valueAndGrad((points: Tensor, from: Centroids, keyMask: Tensor) => pass(points, from, keyMask).loss),
      { device },
    )(points, start, mask),
  );

  const counts = new Array<number>(H * k).fill(decay);
  const sums = start.sums.toNumbers().map((x) => decay * x);
  const mu = start.sums.toNumbers();
  const x = points.toNumbers();
  const pull = new Array<number>(x.length).fill(0);
  const real = mask.toNumbers().reduce((a, b) => a + b) * H * D;
  let total = 0;
  for (let b = 0; b < B; b++)
    for (let h = 0; h < H; h++)
      for (let t = 0; t < T; t++) {
        if (mask.toNumbers()[b * T + t] === 0) continue;
        const at = ((b * H + h) * T + t) * D;
        const score = (c: number) => [0, 1, 2, 3].reduce((sum, d) => sum + x[at + d]! * mu[(h * k + c) * D + d]!, 0);
        const c = [0, 1, 2].sort((i, j) => score(j) - score(i))[0]!;
        counts[h * k + c]! += 1 - decay;
        for (let d = 0; d < D; d++) {
          sums[(h * k + c) * D + d]! += (1 - decay) * x[at + d]!;
          const off = x[at + d]! - mu[(h * k + c) * D + d]!;
          total += (beta * off ** 2) / real;
          pull[at + d] = (2 * beta * off) / real;
        }
      }
  near(means, start.sums);
  near(next.counts, fromNumbers(counts, [H, k]));
  near(next.sums, fromNumbers(sums, [H, k, D]));
  expect(loss.item()).toBeCloseTo(total, 5);
  near(gradient as unknown as NDArray, fromNumbers(pull, points.shape));
});

test("a centroid that lost all its points is still a number", async () => {
  const lost = {
    counts: ndarray([[0, 3]]),
    sums: ndarray([
      [
        [0, 0],
        [3, 6],
      ],
    ]),
  };
  const means = (await evaluate(meansOf, device, lost)).toNumbers();
  expect(means.every(Number.isFinite)).toBe(true);
  [1, 2].forEach((x, i) => void expect(means[2 + i]).toBeCloseTo(x, 4));
});

const sizes = { modelWidth: 12, heads: 3, centroids: 4, window: 6 };

async function mixed(options: Partial<RoutingOptions>, x: NDArray, before?: Concrete<Centroids>, trains = false) {
  const mixer = routing({ ...sizes, causal: true, ...options });
  const length = x.shape[1]!;
  const pass = (params: never, x: Tensor, training: Centroids | undefined, key: Tensor) => {
    const view = makeView({ pattern: causal, queries: length, keys: length });
    const state = training === undefined ? {} : { state: { training } };
    const out = mixer.apply(params, { x, view, ...state }, trains ? { key } : evaluation);
    return { y: out.y, loss: out.losses?.commitment, next: out.state?.training } as {
      y: Tensor;
      loss: Tensor;
      next: Centroids;
    };
  };
  const compiled = compile(pass, { device });
  return readTree(await compiled(mixer.init(randomKey(5)) as never, x, before as never, keyToArray(randomKey(6))));
}

test("balanced causal clusters let later tokens change what earlier ones get, nearest ones do not", async () => {
  const x = normal(randomKey(3), [1, 32, 12]);
  const later = fromNumbers(
    x.toNumbers().map((v, i) => (i < 16 * 12 ? v : -2 * v)),
    x.shape,
  );
  const before = async (options: Partial<RoutingOptions>, x: NDArray) =>
    (await mixed(options, x)).y.toNumbers().slice(0, 16 * 12);
  const change = async (options: Partial<RoutingOptions>) => {
    const [a, b] = [await before(options, x), await before(options, later)];
    return Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
  };
  expect(await change({ members: balancedMembers })).toBeGreaterThan(1e-3);
  expect(await change({ members: nearestMembers })).toBeLessThan(1e-6);
  expect(routing({ ...sizes, causal: true, members: balancedMembers }).recurrent).toBeUndefined();
});

test("centroids move in training only, with queries and keys where those differ, and there is no loss without them", async () => {
  const x = normal(randomKey(3), [2, 10, 12]);
  const start = startCentroids(randomKey(8), 3, 4, 4);
  for (const isCausal of [true, false]) {
    const still = await mixed({ causal: isCausal }, x, start);
    near(still.next.sums, start.sums);
    const moved = await mixed({ causal: isCausal }, x, start, true);
    const counted = moved.next.counts.toNumbers().reduce((a, b) => a + b);
    expect(counted).toBeCloseTo(0.999 * 12 + 0.001 * (2 * 10 * 3), 5);
    near(moved.loss, still.loss);
    expect(still.loss.item()).toBeGreaterThan(0);
  }
  expect((await mixed({}, x)).loss).toBeUndefined();
});

test.each([
  ["decoding goes on from the trained centroids, in memory that does not grow", {}],
  ["so it does where tokens do not weigh themselves", { selfLogit: -1e4 }],
])("%s", async (_, options) => {
  const mixer = routing({ ...sizes, causal: true, ...options });
  const recurrent = mixer.recurrent as unknown as {
    start(batch: number, capacity: number, training?: unknown): unknown;
    step(params: never, x: Tensor, state: never, at: object): { y: Tensor; state: unknown };
  };
  const shapes = (capacity: number) =>
    flatten(recurrent.start(2, capacity), isNdArray).leaves.map(({ shape }) => shape);
  expect(shapes(10_000)).toEqual(shapes(1));

  const x = normal(randomKey(3), [2, 20, 12]);
  const start = startCentroids(randomKey(8), 3, 4, 4);
  const whole = (await mixed(options, x, start)).y.toNumbers();
  const params = mixer.init(randomKey(5)) as never;
  const step = compile(
    (params: never, x: Tensor, state: never, position: Tensor) =>
      recurrent.step(params, x, state, { position, view: makeView({ pattern: causal, queries: 1, keys: 1 }) }),
    { device },
  );
  let state = recurrent.start(2, 20, start);
  for (let t = 0; t < 20; t++) {
    const rows = [0, 1].flatMap((b) => x.toNumbers().slice((b * 20 + t) * 12, (b * 20 + t + 1) * 12));
    const out = await readTree(
      await step(params, fromNumbers(rows, [2, 1, 12]), state as never, ndarray(t, [], "int32")),
    );
    state = out.state;
    const expected = [0, 1].flatMap((b) => whole.slice((b * 20 + t) * 12, (b * 20 + t + 1) * 12));
    out.y.toNumbers().forEach((value, i) => void expect(value).toBeCloseTo(expected[i]!, 5));
  }
});

test.each([
  [{ heads: 5 }, "modelWidth must be a multiple of heads"],
  [{ centroids: 0 }, "at least one centroid"],
  [{ window: 0 }, "a window of at least 1"],
  [{ causal: false, selfLogit: -5e4 }, "needs causal: true"],
])("%o is refused", (options, words) => {
  expect(() => routing({ ...sizes, causal: true, ...options })).toThrow(words);
});

test("nearest clusters are refused where tokens look ahead", async () => {
  const x = normal(randomKey(3), [1, 4, 12]);
  await expect(mixed({ causal: false, members: nearestMembers }, x)).rejects.toThrow("causal only");
});

test("points that have much in common share the centroids, each nearest to its own around their mean", async () => {
  const [T, k, passes] = [32, 4, 12];
  const ofAll = [9, -6, 3, -6];
  const noise = normal(randomKey(11), [B, H, T, D]).toNumbers();
  const points = fromNumbers(
    noise.map((x, i) => x + ofAll[i % D]!),
    [B, H, T, D],
  );
  const follow = (points: Tensor, from: Centroids) => {
    let centroids = from;
    let nearest = nearestCentroids(nearness(points, meansOf(from)));
    for (let pass = 0; pass < passes; pass++) {
      const means = meansOf(centroids);
      nearest = nearestCentroids(sub(nearness(points, means), scoresOfMean(centroids, means)));
      if (pass < passes - 1) centroids = nextCentroids(centroids, [{ points, nearest }], 0.8);
    }
    return { nearest, centroids };
  };
  const start = startCentroids(randomKey(12), H, k, D);
  const { nearest, centroids } = await evaluate(follow, device, points, start);
  const found = nearest.toNumbers();
  const [counts, sums, x] = [centroids.counts.toNumbers(), centroids.sums.toNumbers(), points.toNumbers()];
  for (let h = 0; h < H; h++) {
    const members = new Array<number>(k).fill(0);
    const own = Array.from({ length: k }, (_, c) => h * k + c);
    const total = own.reduce((sum, c) => sum + counts[c]!, 0);
    const mean = Array.from({ length: D }, (_, d) => own.reduce((sum, c) => sum + sums[c * D + d]!, 0) / total);
    for (let b = 0; b < B; b++)
      for (let t = 0; t < T; t++) {
        const at = (b * H + h) * T + t;
        const score = (c: number) =>
          mean.reduce((sum, m, d) => sum + (x[at * D + d]! - m) * (sums[c * D + d]! / counts[c]! - m), 0);
        expect(found[at]! + h * k).toBe(own.toSorted((i, j) => score(j) - score(i))[0]);
        members[found[at]!]!++;
      }
    expect(Math.max(...members), `head ${h}: ${members}`).toBeLessThan(0.8 * B * T);
  }
});

test("the logit of a token with itself is the largest, so that others are hardly seen unless it is replaced", async () => {
  const [length, modelWidth, heads] = [64, 32, 2];
  const x = normal(randomKey(3), [2, length, modelWidth]);
  /** Mean weight of tokens on themselves. */
  const onItself = async (options: Partial<RoutingOptions>): Promise<number> => {
    const mixer = routing({ modelWidth, heads, centroids: 2, window: length, causal: true, ...options });
    const pass = (params: never, x: Tensor) => {
      const view = makeView({ pattern: causal, queries: length, keys: length });
      return mixer.apply(params, { x, view }, evaluation).map!();
    };
    const look = looksOf(await evaluate(pass as never, device, mixer.init(randomKey(5)) as never, x as never));
    // Of the second half, where each cluster has earlier members.
    const own = Array.from({ length: length / 2 }, (_, i) => length / 2 + i).flatMap((t) =>
      [0, 1].map((h) => look(0, h, t).find(({ key }) => key === t)?.weight ?? 0),
    );
    return own.reduce((a, b) => a + b) / own.length;
  };
  expect(await onItself({})).toBeGreaterThan(0.8);
  expect(await onItself({ selfLogit: -1e4 })).toBe(0);
});
