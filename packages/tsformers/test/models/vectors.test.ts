import {
  compile,
  fromNumbers,
  gather,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { models } from "../../src/catalogue/models.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { albert } from "../../src/models/encoders/albert.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { longformer } from "../../src/models/encoders/longformer.ts";
import type { ModelEntry } from "../../src/models/index.ts";
import type { LanguageModel, TokensInput } from "../../src/models/language-model.ts";
import { vectorFront } from "../../src/models/vector-front.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C] = [19, 24];
const sizes = { vocabularySize: V, layers: 2, modelWidth: C, heads: 3 };
const tokens = fromNumbers([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7], [2, 7], "int32");
const mask = fromNumbers([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], [2, 7]);

/** Every model over one sequence. */
const readers: [string, LanguageModel][] = Object.entries<ModelEntry>(models).flatMap(([name, entry]) => {
  if (entry.category === "encoder-decoder" || entry.category === "picture") return [];
  const options = { ...sizes, ...("length" in entry.options().shape ? { length: 16 } : {}) };
  return [[name, entry.make(options) as LanguageModel] as [string, LanguageModel]];
});

/** What these multiply the embedding of tokens by. */
const factors: Readonly<Record<string, number>> = {
  "compressive-transformer": Math.sqrt(C),
  ctrl: Math.sqrt(C),
  "t-dmca": Math.sqrt(C),
  gemma2: Math.sqrt(C),
  spalm: Math.sqrt(C),
  "transformer-xl": Math.sqrt(C),
  gtrxl: Math.sqrt(C),
  "universal-transformer": Math.sqrt(C),
};

async function run(fn: unknown, ...args: unknown[]): Promise<number[][]> {
  const compiled = compile(fn as () => unknown, { device }) as unknown as ((...args: unknown[]) => Promise<never>) & {
    release(): Promise<void>;
  };
  try {
    const read = (await readTree(await compiled(...args))) as { toNumbers(): number[] }[];
    return read.map((array) => array.toNumbers());
  } finally {
    await compiled.release();
  }
}

const own = [
  ["albert with a narrow embedding", albert({ ...sizes, embeddingWidth: 8, length: 16 })],
  [
    "longformer that counts positions from behind padding",
    longformer({ ...sizes, length: 16, windows: [4, 4], padding: 1 }),
  ],
] as [string, LanguageModel][];

describe.each([...readers, ...own])("%s", (name, { body }) => {
  test("the vectors of tokens give what the tokens give", async () => {
    const params = mapTree(body.init(randomKey(3)), isNdArray, louder);
    const isCounted = name.startsWith("longformer that");
    const both = (weights: never, tokens: Tensor, mask: Tensor) => {
      const vectors = mul(gather(body.embeddingOf(weights).weight, tokens), factors[name] ?? 1);
      const x = (input: TokensInput) => body.apply(weights, input, evaluation).x;
      // With a token for padding, its places are counted otherwise: here there is none of them.
      return isCounted ? [x({ tokens }), x({ vectors })] : [x({ tokens, mask }), x({ vectors, mask })];
    };
    const given = isCounted ? fromNumbers([3, 2, 4, 2, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7], [2, 7], "int32") : tokens;
    const [byTokens, byVectors] = await run(both, params, given, mask);
    expect(byTokens!.some((value) => Math.abs(value) > 0.1)).toBe(true);
    byVectors!.forEach((value, i) => void expect(value).toBeCloseTo(byTokens![i]!, 5));
  });

  test("says what it needs", async () => {
    const params = body.init(randomKey(3));
    const { embeddingWidth } = body;
    const vectors = normal(randomKey(4), [2, 7, embeddingWidth]);
    const apply = (weights: never, input: never) => [body.apply(weights, input, evaluation).x];
    const needs = (input: unknown) => run(apply, params, input);
    await expect(needs({ mask })).rejects.toThrow(/: expected tokens or vectors, got neither$/);
    await expect(needs({ tokens, vectors })).rejects.toThrow(/: expected tokens or vectors, got both$/);
    await expect(needs({ vectors: normal(randomKey(4), [2, 7, embeddingWidth + 1]) })).rejects.toThrow(
      `: expected vectors [B, T, ${embeddingWidth}], got [2, 7, ${embeddingWidth + 1}]`,
    );
    await expect(needs({ vectors: normal(randomKey(4), [7, embeddingWidth]) })).rejects.toThrow(
      `: expected vectors [B, T, ${embeddingWidth}], got [7, ${embeddingWidth}]`,
    );
  });
});

test("a front is a linear map to the width of the embedding; it takes no tokens", async () => {
  const { body } = bert({ ...sizes, length: 16 });
  const wide = vectorFront("points", body, 3);
  const params = mapTree(wide.init(randomKey(3)), isNdArray, louder) as never;
  const points = normal(randomKey(5), [2, 7, 3]);
  const { weight, bias } = (params as { front: { weight: NDArray; bias: NDArray } }).front;
  const [w, b, at] = [weight, bias, points].map((array) => array.toNumbers()) as [number[], number[], number[]];
  const mapped = Array.from({ length: 14 * C }, (_, i) => {
    const [row, c] = [Math.floor(i / C), i % C];
    return [0, 1, 2].reduce((sum, d) => sum + at[row * 3 + d]! * w[d * C + c]!, b[c]!);
  });
  const [found] = await run(
    (weights: never, vectors: Tensor) => [wide.apply(weights, { vectors }, evaluation).x],
    params,
    points,
  );
  const [expected] = await run(
    (weights: never, vectors: Tensor) => [body.apply(weights, { vectors }, evaluation).x],
    params,
    fromNumbers(mapped, [2, 7, C]),
  );
  found!.forEach((value, i) => void expect(value).toBeCloseTo(expected![i]!, 4));
  const apply = (weights: never, tokens: Tensor) => [wide.apply(weights, { tokens }, evaluation).x];
  await expect(run(apply, params, tokens)).rejects.toThrow("points: expected vectors [B, T, 3], got tokens");
});
