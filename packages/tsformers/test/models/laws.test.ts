import {
  compile,
  type DeviceArray,
  flatten,
  fromNumbers,
  mapTree,
  NDArray,
  ndarray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { models } from "../../src/catalogue/models.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { ModelEntry } from "../../src/models/index.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { SequenceToSequence } from "../../src/models/sequence-to-sequence.ts";
import type { PositionEntry } from "../../src/position/index.ts";

const V = 19;
const sizes = { vocabularySize: V, layers: 2, modelWidth: 24, heads: 3 };
const length = 128;

/** Every causal language model: the decoders with their own positions, and the one that takes any with each. */
const decoders: [string, () => LanguageModel][] = Object.entries<ModelEntry>(models).flatMap(([name, entry]) => {
  if (entry.category !== "decoder") return [];
  const options = { ...sizes, ...("length" in entry.options().shape ? { length } : {}) };
  const own: [string, () => LanguageModel] = [name, () => entry.make(options)];
  if (!entry.parts.includes("position")) return [own];
  const context = { modelWidth: sizes.modelWidth, heads: sizes.heads, layers: sizes.layers, length };
  return [
    own,
    ...Object.entries<PositionEntry>(positions).map(([scheme, { make }]): [string, () => LanguageModel] => [
      `${name} with ${scheme} positions`,
      () => entry.make(options, { scheme: make({}, context) }),
    ]),
  ];
});

const device = await openCpu();
afterAll(() => device.close());

type Run = (tokens: number[][], mask?: number[][]) => Promise<number[][][]>;

async function prepare(make: () => LanguageModel): Promise<{ model: LanguageModel; params: never; run: Run }> {
  const model = make();
  // Initial weights of 0.02 would let everything look alike.
  const params = mapTree(
    model.init(randomKey(5)),
    (value): value is NDArray => value instanceof NDArray,
    louder,
  ) as never;
  const pass = compile(
    (params: never, tokens: Tensor, mask: Tensor | undefined) =>
      model.apply(params, { tokens, ...(mask === undefined ? {} : { mask }) }, evaluation).logits,
    { device },
  ) as unknown as (...args: unknown[]) => Promise<DeviceArray>;
  const run: Run = async (tokens, mask) => {
    const [rows, columns] = [tokens.length, tokens[0]!.length];
    const int = (values: number[][]) => fromNumbers(values.flat(), [rows, columns], "int32");
    const logits = (await (await pass(params, int(tokens), mask && int(mask))).read()).toNumbers();
    return tokens.map((_, b) =>
      Array.from({ length: columns }, (_, t) => logits.slice((b * columns + t) * V, (b * columns + t + 1) * V)),
    );
  };
  return { model, params, run };
}

const deviationOf = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);

/** Matrices drawn with a larger deviation than 0.02 are loud as they are. */
function louder(array: NDArray): NDArray {
  // An output that begins as nothing.
  if (array.shape.length > 1 && deviationOf(array.toNumbers()) === 0)
    return normal(randomKey(array.shape[0]!), array.shape, { deviation: 0.2 });
  if (array.shape.length < 2 || deviationOf(array.toNumbers()) > 0.05) return array;
  return new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 6 * x),
  );
}

const sequence = (count: number, seed = 1) =>
  Array.from({ length: count }, (_, i) => (i * i * 7 + i * seed + seed) % V);

function expectClose(found: readonly number[], expected: readonly number[], what: string): void {
  const worst = Math.max(...found.map((x, i) => Math.abs(x - expected[i]!)));
  expect(worst, what).toBeLessThan(2e-4);
}

describe.each(decoders)("%s", (_, make) => {
  test("a token never changes what comes before it, but changes what comes after", async () => {
    const { run } = await prepare(make);
    const tokens = sequence(20);
    const changed = tokens.with(11, (tokens[11]! + 1) % V);
    const [[a], [b]] = [await run([tokens]), await run([changed])];
    for (let t = 0; t < 11; t++) expect(b![t]).toEqual(a![t]);
    for (const t of [11, 15, 19]) expect(b![t]).not.toEqual(a![t]);
  });

  test.each([1, 63, 64, 100])("decoding %i tokens with a cache equals one pass", async (count) => {
    const { model, params, run } = await prepare(make);
    const tokens = sequence(count);
    const [whole] = await run([tokens]);
    const decoder = openDecoder(model, params, { device, maxLength: length });
    const prompt = Math.ceil(count / 2);
    expectClose([...(await decoder.read(tokens.slice(0, prompt)))], whole![prompt - 1]!, "after the prompt");
    for (let t = prompt; t < count; t++) expectClose([...(await decoder.read([tokens[t]!]))], whole![t]!, `at ${t}`);
    await decoder.release();
  });

  rowsAndMasks(make);

  test("padding behind changes nothing", async () => {
    const { run } = await prepare(make);
    const tokens = sequence(8);
    const padded = [...tokens, 3, 1, 4];
    const mask = padded.map((_, t) => (t < 8 ? 1 : 0));
    const [alone] = await run([tokens]);
    const [found] = await run([padded], [mask]);
    for (let t = 0; t < 8; t++) expectClose(found![t]!, alone![t]!, `at ${t}`);
  });
});

const encoders: [string, () => LanguageModel][] = Object.entries<ModelEntry>(models).flatMap(([name, entry]) =>
  entry.category === "encoder"
    ? [[name, () => entry.make({ ...sizes, ...("length" in entry.options().shape ? { length } : {}) })]]
    : [],
);

describe.each(encoders)("%s", (_, make) => {
  test("a token changes what stands on both sides of it", async () => {
    const { run } = await prepare(make);
    const tokens = sequence(20);
    const changed = tokens.with(11, (tokens[11]! + 1) % V);
    const [[a], [b]] = [await run([tokens]), await run([changed])];
    for (const t of [10, 11, 12]) expect(b![t]).not.toEqual(a![t]);
  });

  rowsAndMasks(make);
});

/** Laws of rows and masks, which hold in any direction. */
function rowsAndMasks(make: () => LanguageModel): void {
  test("rows of a batch do not see each other", async () => {
    const { run } = await prepare(make);
    const [a, b] = [sequence(9, 1), sequence(9, 4)];
    const both = await run([a, b]);
    expectClose((await run([b]))[0]!.flat(), both[1]!.flat(), "second row alone");
  });

  test("what is hidden by the mask changes nothing, and rows that see nothing are finite", async () => {
    const { run } = await prepare(make);
    const tokens = sequence(8);
    const mask = tokens.map((_, t) => (t < 3 ? 0 : 1));
    const [a] = await run([tokens], [mask]);
    const [b] = await run([[7, 8, 9, ...tokens.slice(3)]], [mask]);
    for (let t = 3; t < 8; t++) expectClose(b![t]!, a![t]!, `at ${t}`);
    expect(a!.flat().every(Number.isFinite)).toBe(true);
    const [none] = await run([tokens], [tokens.map(() => 0)]);
    expect(none!.flat().every(Number.isFinite)).toBe(true);
  });
}

const pairs = Object.entries<ModelEntry>(models).flatMap(([name, entry]) =>
  entry.category === "encoder-decoder" ? [[name, entry] as const] : [],
);

describe.each(pairs)("%s", (_, entry) => {
  const prepared = async () => {
    const model: SequenceToSequence = entry.make(sizes);
    const params = mapTree(model.init(randomKey(5)), (value): value is NDArray => value instanceof NDArray, louder);
    const pass = compile(
      (params: unknown, source: Tensor, mask: Tensor, tokens: Tensor) => {
        const encoded = model.encode(params, { tokens: source, mask }, evaluation);
        return model.decode(params, { tokens, encoded }, evaluation).logits;
      },
      { device },
    ) as unknown as (...args: unknown[]) => Promise<DeviceArray>;
    const int = (values: number[]) => ndarray(Int32Array.from(values), [1, values.length]);
    return async (source: number[], mask: number[], tokens: number[]) =>
      (await (await pass(params, int(source), int(mask), int(tokens))).read()).toNumbers();
  };

  test("a target token never changes what comes before it", async () => {
    const run = await prepared();
    const [source, tokens] = [sequence(7, 2), sequence(10)];
    const ones = source.map(() => 1);
    const a = await run(source, ones, tokens);
    const b = await run(source, ones, tokens.with(6, (tokens[6]! + 1) % V));
    expect(b.slice(0, 6 * V)).toEqual(a.slice(0, 6 * V));
    expect(b.slice(6 * V)).not.toEqual(a.slice(6 * V));
  });

  test("padding of the source changes nothing, and a source of padding alone gives finite numbers", async () => {
    const run = await prepared();
    const [source, tokens] = [sequence(7, 2), sequence(10)];
    const ones = source.map(() => 1);
    const a = await run(source, ones, tokens);
    expectClose(await run([...source, 5, 6], [...ones, 0, 0], tokens), a, "padded source");
    expect(
      (
        await run(
          source,
          source.map(() => 0),
          tokens,
        )
      ).every(Number.isFinite),
    ).toBe(true);
  });
});

test("every model of the catalogue has parameters, and the options it states make it", () => {
  for (const [name, entry] of Object.entries<ModelEntry>(models)) {
    const own = entry.category === "picture" ? 4 * 4 * 3 : length;
    const options = { ...sizes, ...("length" in entry.options().shape ? { length: own } : {}) };
    const model = entry.make(options);
    const { leaves } = flatten(model.init(randomKey(1)), (value): value is NDArray => value instanceof NDArray);
    expect(leaves.length, name).toBeGreaterThan(10);
    expect("shape" in model ? model.shape.levels : model.vocabularySize, name).toBe(V);
    expect(() => entry.options().parse({ ...options, nonsense: 1 }), name).toThrow("nonsense");
  }
});
