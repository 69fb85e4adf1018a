import {
  add,
  type Concrete,
  constant,
  evaluate,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import {
  type AdaptiveEmbeddingParams,
  type AdaptiveHeadOptions,
  type AdaptiveHeadParams,
  adaptiveEmbedding,
  adaptiveHead,
} from "../../src/nn/adaptive.ts";
import { crossEntropies } from "../../src/nn/cross-entropy.ts";
import { expectSameTrees, numbersByPath, sizeOf, slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C] = [17, 8];
const cases: readonly (readonly [string, AdaptiveHeadOptions])[] = [
  ["one cluster, the softmax", { vocabularySize: V, modelWidth: C, cutoffs: [] }],
  ["two clusters", { vocabularySize: V, modelWidth: C, cutoffs: [9] }],
  ["three, halved each time", { vocabularySize: V, modelWidth: C, cutoffs: [5, 12], divisor: 2 }],
  ["of equal width", { vocabularySize: V, modelWidth: C, cutoffs: [4, 8, 13], divisor: 1 }],
  ["a projection of its own", { vocabularySize: V, modelWidth: C, cutoffs: [5, 12], divisor: 2, ownProjection: true }],
];

type Both = { tokens: AdaptiveEmbeddingParams; head: AdaptiveHeadParams };

describe.each(cases)("%s", (_, options) => {
  const { cutoffs, divisor = 4 } = options;
  const [tokens, head] = [adaptiveEmbedding(options), adaptiveHead(options)];
  const noisy = <T>(tree: T, seed: number): T => {
    let next = seed;
    return mapTree(tree, isNdArray, ({ shape }) => normal(randomKey(next++), shape, { deviation: 0.6 })) as T;
  };
  const params = {
    tokens: noisy(tokens.init(randomKey(1)), 10),
    head: noisy(head.init(randomKey(2)), 50),
  } as Concrete<Both>;
  const x = normal(randomKey(3), [2, 3, C]);
  const logits = ({ tokens, head: own }: Both, x: Tensor) => head.apply(own, x, tokens);
  const ends = [...cutoffs, V];
  const clusterOf = (token: number) => ends.findIndex((end) => token < end);
  const widths = ends.map((_, i) => Math.floor(C / divisor ** i));

  test("logits are log-probabilities: they add up to 1, and their loss is their negative", async () => {
    const all = [0, 4, 16, 8, 5, 12];
    const both = (params: Both, x: Tensor, targets: Tensor) => {
      const found = logits(params, x);
      return { found, losses: crossEntropies(found, targets) };
    };
    const targets = fromNumbers(all, [2, 3], "int32");
    const { found, losses } = await evaluate(both, device, params as never, x as never, targets as never);
    expect(found.shape).toEqual([2, 3, V]);
    all.forEach((target, i) => {
      const row = found.toNumbers().slice(i * V, (i + 1) * V);
      expect(row.reduce((total, z) => total + Math.exp(z), 0)).toBeCloseTo(1, 5);
      expect(losses.toNumbers()[i]).toBeCloseTo(-row[target]!, 5);
    });
  });

  test("they are those of choosing the cluster, then the token", async () => {
    const found = (await evaluate(logits, device, params as never, x as never)).toNumbers();
    const { tokens: own, head } = params;
    const rows = (array: NDArray) => {
      const width = array.shape[1]!;
      return Array.from({ length: array.shape[0]! }, (_, i) => array.toNumbers().slice(i * width, (i + 1) * width));
    };
    const dot = (a: readonly number[], b: readonly number[]) => a.reduce((total, value, i) => total + value * b[i]!, 0);
    /** x [C] projected by [C, E] → [E] */
    const projected = (x: readonly number[], by: NDArray) =>
      Array.from({ length: by.shape[1]! }, (_, e) =>
        dot(
          x,
          rows(by).map((row) => row[e]!),
        ),
      );
    const logSoftmax = (z: readonly number[]) => {
      const total = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
      return z.map((value) => value - total);
    };
    for (let i = 0; i < 6; i++) {
      const own_x = x.toNumbers().slice(i * C, (i + 1) * C);
      const first = projected(own_x, (head as { project?: NDArray }).project ?? own.project);
      const shortlist = logSoftmax([
        ...rows(own.weight).map((row, token) => dot(first, row) + head.bias.toNumbers()[token]!),
        ...rows(head.clusters.weight).map((row, c) => dot(first, row) + head.clusters.bias.toNumbers()[c]!),
      ]);
      const tails = own.tails.map(({ weight, project }, tail) => {
        const narrow = projected(own_x, project);
        const biases = head.tails[tail]!.bias.toNumbers();
        return logSoftmax(rows(weight).map((row, token) => dot(narrow, row) + biases[token]!));
      });
      for (let token = 0; token < V; token++) {
        const cluster = clusterOf(token);
        // The last cluster has the first of the cluster logits.
        const expected =
          cluster === 0
            ? shortlist[token]!
            : shortlist[cutoffs[0]! + tails.length - cluster]! + tails[cluster - 1]![token - cutoffs[cluster - 1]!]!;
        expect(found[i * V + token], `${i}, ${token}`).toBeCloseTo(expected, 4);
      }
    }
  });

  test("a token's vector is its cluster's, projected", async () => {
    const all = Array.from({ length: V }, (_, token) => token);
    const look = (own: AdaptiveEmbeddingParams, ids: Tensor) => tokens.apply(own, ids);
    const ids = fromNumbers(all, [1, V], "int32");
    const found = await evaluate(look, device, params.tokens as never, ids as never);
    expect(found.shape).toEqual([1, V, C]);
    for (const token of all) {
      const cluster = clusterOf(token);
      const { weight, project } = cluster === 0 ? params.tokens : params.tokens.tails[cluster - 1]!;
      const width = widths[cluster]!;
      expect(weight.shape[1]).toBe(width);
      const from = (token - (cutoffs[cluster - 1] ?? 0)) * width;
      const row = weight.toNumbers().slice(from, from + width);
      const expected = Array.from({ length: C }, (_, c) =>
        row.reduce((total, value, e) => total + value * project.toNumbers()[c * width + e]!, 0),
      );
      expectSameTrees(
        fromNumbers(found.toNumbers().slice(token * C, (token + 1) * C), [C]),
        fromNumbers(expected, [C]),
      );
    }
  });

  test("gradients are those of differences, and reach everything", async () => {
    const loss = (of: Both) => {
      const ids = constant(fromNumbers([0, 4, 16, 8, 5, 12], [2, 3], "int32"));
      const states = add(constant(x), tokens.apply(of.tokens, ids));
      return sum(mul(logits(of, states), constant(normal(randomKey(7), [2, 3, V]))));
    };
    const { byGradient, byDifference } = slopes<Both>(loss, params);
    expect(byGradient).toBeCloseTo(byDifference, 4);
    const gradients = await evaluate((params: Both) => grad(loss)(params), device, params as never);
    for (const [path, values] of Object.entries(numbersByPath(gradients)))
      expect(values.length === 0 || values.some((value) => value !== 0), path).toBe(true);
  });

  test("rare tokens have few parameters", () => {
    const sizes = ends.map((end, i) => end - (ends[i - 1] ?? 0));
    const tables = sizes.reduce((total, size, i) => total + (size + C) * widths[i]!, 0);
    expect(sizeOf(params.tokens)).toBe(tables);
    const own = options.ownProjection ? C * C : 0;
    expect(sizeOf(params.head)).toBe(V + cutoffs.length * (C + 1) + own);
  });
});

test("what does not fit is refused", () => {
  const sizes = { vocabularySize: V, modelWidth: C };
  for (const cutoffs of [[0], [5, 5], [12, 5], [17], [30]])
    expect(() => adaptiveEmbedding({ ...sizes, cutoffs })).toThrow("adaptive: cutoffs must ascend below 17, got");
  expect(() => adaptiveHead({ ...sizes, cutoffs: [5, 9] })).toThrow("modelWidth 8 leaves no feature for rare tokens");
});
