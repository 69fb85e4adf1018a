import { type Concrete, isNdArray, mapTree, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import type { MixerEntry } from "../../src/attention/index.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { type MixerName, mixers } from "../../src/catalogue/mixers.ts";
import { type PositionName, positions } from "../../src/catalogue/positions.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { drained, type GenerateOptions, generate, generateRows, type Written } from "../../src/generate/generate.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import type { PositionEntry } from "../../src/position/index.ts";

const device = await openCpu();
afterAll(() => device.close());
/** A device that says it does not share memory keeps the cache to itself, as a GPU does. */
const apart = { ...device, sharesMemory: false };

const [V, length] = [13, 64];
const sizes = { modelWidth: 12, heads: 2, length };
const prompts = [[1, 2, 3, 4, 5], [7], [3, 9, 2, 2, 8, 1, 0, 11, 4]];

/** Initial weights of 0.02 would let everything look alike. */
function loud(array: NDArray): NDArray {
  if (array.dtype !== "float32" || array.shape.length < 2) return array;
  return new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 6 * x),
  );
}

type Options = Partial<Parameters<typeof gpt>[0]>;

/** Tokens of each row, and why it ended. */
async function inRows(
  source: ReturnType<typeof generateRows>,
): Promise<{ made: number[][]; ended: readonly Written[] }> {
  const made: number[][] = prompts.map(() => []);
  const ended = await drained(source, ({ row, token }) => made[row]!.push(token));
  return { made, ended };
}

async function alone(source: ReturnType<typeof generate>): Promise<{ made: number[]; ended: Written }> {
  const made: number[] = [];
  const ended = await drained(source, (token) => made.push(token));
  return { made, ended };
}

async function expectAsAlone(options: Options, on: typeof device = device): Promise<void> {
  const model = gpt({ vocabularySize: V, layers: 2, ...sizes, ...options });
  const params = mapTree(model.init(randomKey(2)), isNdArray, loud) as Concrete<never>;
  const together = openDecoder(model, params, { device: on, maxLength: 40, rows: prompts.length });
  const one = openDecoder(model, params, { device: on, maxLength: 40 });
  const ways: GenerateOptions[] = [
    { count: 12, temperature: 0 },
    { count: 40, seed: 3, topK: 5, endTokens: [6], stopTokens: [10] },
  ];
  for (const way of ways) {
    together.restart();
    const { made, ended } = await inRows(generateRows(together, prompts, way));
    for (const [row, prompt] of prompts.entries()) {
      one.restart();
      expect({ made: made[row], ended: ended[row] }, `row ${row}`).toEqual(await alone(generate(one, prompt, way)));
    }
  }
  await together.release();
  await one.release();
}

describe("prompts of three lengths, side by side, are continued as each is alone", () => {
  const schemes = (Object.keys(positions) as PositionName[]).filter((name) => positions[name].category !== "inputs");
  test.each(schemes)("with %s positions", async (name) => {
    const scheme = entryOf<PositionEntry>(positions, name).make({}, { ...sizes, layers: 2 });
    return expectAsAlone({ scheme: await scheme });
  });

  const decoding = (Object.keys(mixers) as MixerName[]).filter(
    (name) => entryOf<MixerEntry>(mixers, name).decodeState !== undefined,
  );
  test.each(decoding)("with %s", (name) => {
    const made = entryOf<MixerEntry>(mixers, name).make({}, { ...sizes, causal: true });
    return expectAsAlone({ mixer: () => made });
  });

  test("within a window", () => expectAsAlone({ pattern: slidingWindow({ before: 4, after: 0 }) }));
  test("on a device of its own", () => expectAsAlone({}, apart));
});

test("what does not fit is refused before anything is read", async () => {
  const model = gpt({ vocabularySize: V, layers: 1, ...sizes });
  const params = model.init(randomKey(0));
  const open = (rows: number, more = {}) => openDecoder(model, params, { device, maxLength: 10, rows, ...more });
  const decoder = open(2);
  const error = (given: readonly (readonly number[])[]) =>
    inRows(generateRows(decoder, given, { count: 2 })).catch((error: Error) => error.message);
  expect(await error([[1]])).toBe("generate: expected 2 prompts, one for each row, got 1");
  expect(await error([[1], new Array<number>(11).fill(1)])).toBe("read: 11 tokens are more than maxLength 10");
  expect(await error([[1], []])).toBe("read: expected at least one token");
  expect(await error([[1], [V]])).toContain(`expected tokens of 0 … ${V - 1}, got ${V}`);
  expect(decoder.length).toBe(0);
  await expect(decoder.readRows([[1], [1, 2]])).rejects.toThrow("expected equally many tokens of each row, got 1, 2");
  await expect(decoder.read([1])).rejects.toThrow("expected tokens of 2 rows, got 1");
  expect(() => open(0)).toThrow("openDecoder: expected rows of 1 or more, got 0");
  expect(() => open(2, { tellsFfnInput: true })).toThrow("tellsFfnInput needs one row, got 2");
  await decoder.release();
});
