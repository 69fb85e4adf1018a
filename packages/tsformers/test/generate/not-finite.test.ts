import { type Concrete, isNdArray, mapTree, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { mixers } from "../../src/catalogue/mixers.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { type GenerateOptions, generate } from "../../src/generate/generate.ts";
import { LogitsError } from "../../src/generate/sampling.ts";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { traxTransformer } from "../../src/io/trax.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { t5 } from "../../src/models/encoder-decoders/t5.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import type { SequenceToSequence } from "../../src/models/sequence-to-sequence.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { vocabularySize: 11, layers: 1, modelWidth: 8, heads: 2, length: 12 };
const linear = mixers.linear.make({}, { ...sizes, causal: true });
const prompt = [1, 2, 3];

/** Parameters in which one table of positions is not a number from a position on. */
function brokenFrom(position: number, model: LanguageModel | SequenceToSequence, table: string, value: number): never {
  const params = model.init(randomKey(1)) as Record<string, { weight: NDArray }>;
  const { weight } = params[table]!;
  const data = Float32Array.from(weight.data as Float32Array).fill(value, position * sizes.modelWidth);
  return { ...params, [table]: { weight: new NDArray(weight.shape, "float32", data) } } as never;
}

const ways: GenerateOptions[] = [
  { count: 20, temperature: 0 },
  { count: 20, seed: 3 },
  { count: 20, topK: 3 },
  { count: 20, topP: 0.5 },
];

const keepsKeys: [string, LanguageModel] = ["keys and values", gpt(sizes) as LanguageModel];
const keepsSums: [string, LanguageModel] = ["sums", gpt({ ...sizes, mixer: () => linear }) as LanguageModel];

describe.each([keepsKeys, keepsSums])("a decoder that keeps %s", (_, model) => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY])("stops where %d comes up, after what was written", async (bad) => {
    const params = brokenFrom(7, model, "positions", bad);
    for (const options of ways) {
      const decoder = openDecoder(model, params, { device, maxLength: 12 });
      const made: number[] = [];
      const all = async () => {
        for await (const token of generate(decoder, prompt, options)) made.push(token);
      };
      // Positions 3 … 6 are read; the one after the fifth token is not a number.
      await expect(all()).rejects.toThrow("after 5 tokens: the model's logits are not finite");
      expect(made).toHaveLength(5);
      await decoder.release();
    }
  });

  test("ends at its last position, and reads none beyond", async () => {
    const params = model.init(randomKey(1)) as never;
    const decoder = openDecoder(model, params, { device, maxLength: 100 });
    expect(decoder.maxLength).toBe(12);
    const source = generate(decoder, prompt, { count: 50 });
    let [next, made] = [await source.next(), 0];
    for (; !next.done; next = await source.next()) made++;
    expect(next.value).toEqual({ ended: "positions", tokens: 10 });
    expect(made).toBe(10);
    await expect(decoder.read([1])).rejects.toThrow("13 tokens are more than maxLength 12");
    decoder.restart();
    await expect(decoder.read(new Array<number>(13).fill(1))).rejects.toThrow("more than maxLength 12");
    await decoder.release();
  });
});

describe("an encoder-decoder", () => {
  const model = traxTransformer({ ...sizes, ffnWidth: 16 }) as SequenceToSequence;

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("stops where %d comes up, drawing and with beams", async (bad) => {
    const decoder = openSequenceDecoder(model, brokenFrom(4, model, "targetPositions", bad), { device });
    const message = "after 4 tokens: the model's logits are not finite";
    for (const options of ways) {
      const target = await decoder.begin(prompt, { maxLength: 20 });
      const made: number[] = [];
      const all = async () => {
        for await (const token of generate(target, [0], options)) made.push(token);
      };
      await expect(all()).rejects.toThrow(message);
      expect(made).toHaveLength(4);
    }
    for (const beams of [1, 3])
      await expect(decoder.decode(prompt, { count: 20, start: 0, beams })).rejects.toThrow(message);
    await decoder.release();
  });

  test("stops at once where the source is not finite", async () => {
    const other = t5(sizes) as SequenceToSequence;
    const params = mapTree(other.init(randomKey(1)), isNdArray, (array) =>
      array.shape[0] === 11
        ? new NDArray(array.shape, "float32", new Float32Array(array.size).fill(Number.NaN))
        : array,
    ) as Concrete<unknown>;
    const decoder = openSequenceDecoder(other, params, { device });
    await expect(decoder.decode(prompt, { count: 5, start: 0, beams: 2 })).rejects.toThrow(LogitsError);
    await decoder.release();
  });

  test("ends at the last position of its targets, and reads no longer source", async () => {
    const decoder = openSequenceDecoder(model, model.init(randomKey(1)) as never, { device });
    const found = await decoder.decode(prompt, { count: 50, start: 0, beams: 2 });
    expect(found.map(({ tokens, ended }) => [tokens.length, ended])).toEqual([
      [12, "positions"],
      [12, "positions"],
    ]);
    expect((await decoder.begin(prompt, { maxLength: 50 })).maxLength).toBe(12);
    const long = new Array<number>(13).fill(1);
    await expect(decoder.decode(long, { count: 1, start: 0 })).rejects.toThrow(
      "the source has 13 tokens, more than the 12",
    );
    await decoder.release();
  });
});
