import { evaluate, fromNumbers, mapTree, NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { attend } from "../../src/attention/core/executor.ts";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import {
  type TransformerXlOptions,
  type TransformerXlParams,
  transformerXlScores,
} from "../../src/position/transformer-xl.ts";

const device = await openCpu();
afterAll(() => device.close());

const [heads, headWidth, modelWidth] = [2, 3, 8];

function noise(shape: readonly number[], seed: number): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return fromNumbers(
    Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233)),
    shape,
  );
}

/** The paper's logits, one pair at a time: four terms, waves of the distance query − key, sines before cosines. */
function logitsOf(
  q: number[],
  k: number[],
  params: { u: number[]; v: number[]; w: number[] },
  length: number,
  limit: number,
): number[][][] {
  const at = (x: number[], head: number, t: number) =>
    x.slice((head * length + t) * headWidth, (head * length + t + 1) * headWidth);
  const of = (x: number[], head: number) => x.slice(head * headWidth, (head + 1) * headWidth);
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const keyOf = (head: number, distance: number) => {
    const omega = Array.from({ length: modelWidth / 2 }, (_, i) => 10_000 ** ((-2 * i) / modelWidth));
    const wave = [...omega.map((w) => Math.sin(distance * w)), ...omega.map((w) => Math.cos(distance * w))];
    return Array.from({ length: headWidth }, (_, d) =>
      wave.reduce((sum, x, c) => sum + x * params.w[(head * modelWidth + c) * headWidth + d]!, 0),
    );
  };
  return [0, 1].map((head) =>
    Array.from({ length }, (_, t) =>
      Array.from({ length }, (_, s) => {
        const distance = Math.min(Math.max(t - s, -limit), limit);
        const [query, key, far] = [at(q, head, t), at(k, head, s), keyOf(head, distance)];
        const [u, v] = [of(params.u, head), of(params.v, head)];
        return dot(query, key) + dot(query, far) + dot(u, key) + dot(v, far);
      }),
    ),
  );
}

const options = { layers: 2, modelWidth, heads, headWidth };
const cases: [string, Partial<TransformerXlOptions>, number][] = [
  ["causal", {}, 0],
  ["both ways", { bidirectional: true }, 1],
  ["untied", { untied: true, bidirectional: true }, 1],
  ["distances clamped", { maxDistance: 4, bidirectional: true }, 1],
];

describe.each(cases)("%s", (_, more, ahead) => {
  test.each([1, 11, 40])("weights are the softmax of the paper's logits, %i positions", async (length) => {
    const scheme = transformerXlScores({ ...options, ...more });
    let seed = 3;
    const params = mapTree(
      scheme.init(randomKey(1)),
      (x): x is NDArray => x instanceof NDArray,
      ({ shape }) => noise(shape, seed++),
    ) as unknown as { [K in keyof TransformerXlParams]: never };
    const [q, k] = [noise([1, heads, length, headWidth], 1), noise([1, heads, length, headWidth], 2)];
    const scale = 0.4;
    const run = (q: Tensor, k: Tensor, params: TransformerXlParams) => {
      const own = scheme.forLayer!(params, 1, { queries: length, keys: length });
      const view = makeView({
        pattern: ahead ? fullPattern : causal,
        queries: length,
        keys: length,
        queriesPerBlock: 16,
        scores: (at) => scheme.prepare(own, at),
      });
      return attend(q, { key: k, value: k }, { view, scale, context: {} }).map().weights;
    };
    const found = (await evaluate(run, device, q, k, params as never)) as unknown as NDArray;
    const { biases, distances } = params as unknown as {
      biases: { content: NDArray; distance: NDArray }[];
      distances: NDArray[];
    };
    expect(biases.length).toBe(more.untied ? 2 : 1);
    const { content, distance } = biases.at(-1)!;
    const numbers = { u: content.toNumbers(), v: distance.toNumbers(), w: distances[1]!.toNumbers() };
    const logits = logitsOf(q.toNumbers(), k.toNumbers(), numbers, length, more.maxDistance ?? length);
    const expected = logits.flatMap((head) =>
      head.flatMap((row, t) => {
        const raised = row.map((x, s) => (ahead || s <= t ? Math.exp(scale * x) : 0));
        const total = raised.reduce((a, b) => a + b);
        return raised.map((x) => x / total);
      }),
    );
    const weights = found.toNumbers();
    // Maps may be as wide as blocks are; here all keys are in one.
    expect(weights.length).toBe(expected.length);
    weights.forEach((x, i) => {
      expect(Math.abs(x - expected[i]!)).toBeLessThan(2e-5);
    });
  });
});

test("a layer that it was not made for is an error", () => {
  expect(() =>
    transformerXlScores(options).forLayer!({ biases: [], distances: [] }, 2, { queries: 1, keys: 1 }),
  ).toThrow("made for 2 layers, got layer 2");
});
