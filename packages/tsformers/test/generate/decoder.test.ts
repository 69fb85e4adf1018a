import { evaluate, type NDArray, ndarray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { openDecoder } from "../../src/generate/decoder.ts";
import { generate, generateText } from "../../src/generate/generate.ts";
import { mostLikely } from "../../src/generate/sampling.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { byteTokenizer } from "../../src/tokenizers/index.ts";

const model = gpt({ vocabularySize: 256, layers: 2, modelWidth: 32, heads: 4, length: 200 });
const params = model.init(randomKey(3));

// A device that says it does not share memory keeps the cache to itself, as a GPU does.
test.each([true, false])(
  "a cache that grows past 64 and 128 positions gives what one pass gives (shared memory: %s)",
  async (sharesMemory) => {
    const device = { ...(await openCpu()), sharesMemory };
    const decoder = openDecoder(model, params, { device, maxLength: 200 });
    const prompt = [5, 6, 7, 8, 9];
    const tokens: number[] = [];
    for await (const token of generate(decoder, prompt, { count: 150, temperature: 1, seed: 4 })) tokens.push(token);
    expect(tokens).toHaveLength(150);
    const all = [...prompt, ...tokens];
    decoder.restart();
    const cached = await decoder.read(all);
    const whole = (await evaluate(
      (p: typeof params, tokens: Tensor) => model.apply(p as never, { tokens }, evaluation).logits,
      device,
      params as never,
      ndarray(Int32Array.from(all), [1, all.length]),
    )) as unknown as NDArray;
    const last = whole.toNumbers().slice(-256);
    for (const [i, value] of cached.entries()) expect(value).toBeCloseTo(last[i]!, 4);
    await decoder.release();
  },
);

test("greedy tokens are the most likely ones of one pass at every step", async () => {
  const device = await openCpu();
  const decoder = openDecoder(model, params, { device, maxLength: 100 });
  const prompt = [1, 2, 3];
  const tokens: number[] = [];
  for await (const token of generate(decoder, prompt, { count: 70, temperature: 0 })) tokens.push(token);
  const all = [...prompt, ...tokens];
  const whole = (await evaluate(
    (p: typeof params, tokens: Tensor) => model.apply(p as never, { tokens }, evaluation).logits,
    device,
    params as never,
    ndarray(Int32Array.from(all), [1, all.length]),
  )) as unknown as NDArray;
  const logits = whole.toNumbers();
  tokens.forEach((token, i) => {
    const at = prompt.length - 1 + i;
    expect(token).toBe(mostLikely(logits.slice(at * 256, (at + 1) * 256)));
  });
  await decoder.release();
});

test("the same seed draws the same text, another seed another", async () => {
  const device = await openCpu();
  const decoder = openDecoder(model, params, { device, maxLength: 64 });
  const draw = async (seed: number): Promise<number[]> => {
    decoder.restart();
    const tokens: number[] = [];
    for await (const token of generate(decoder, [65], { count: 20, seed, topP: 0.9, topK: 50 })) tokens.push(token);
    return tokens;
  };
  const [a, b, c] = [await draw(1), await draw(1), await draw(2)];
  expect(b).toEqual(a);
  expect(c).not.toEqual(a);
  await decoder.release();
});

test("generation ends at maxLength, at stop tokens and before stop texts", async () => {
  const device = await openCpu();
  const decoder = openDecoder(model, params, { device, maxLength: 10 });
  const all: number[] = [];
  for await (const token of generate(decoder, [1, 2], { count: 50, seed: 1 })) all.push(token);
  expect(all).toHaveLength(9);
  decoder.restart();
  const stopped: number[] = [];
  const stopTokens = [all[4]!];
  for await (const token of generate(decoder, [1, 2], { count: 50, seed: 1, stopTokens })) stopped.push(token);
  expect(stopped).toEqual(all.slice(0, all.indexOf(stopTokens[0]!)));
  await decoder.release();
});

test("stop texts and characters of several bytes are never given out in part", async () => {
  const spoken = new TextEncoder().encode("aé€ END tail");
  let at = 0;
  const oneHot = () => Float32Array.from({ length: 256 }, (_, token) => (token === spoken[at] ? 9 : 0));
  const decoder = {
    length: 0,
    maxLength: 1000,
    read: async () => {
      const logits = oneHot();
      at++;
      return logits;
    },
    restart: () => {},
    release: async () => {},
  };
  const pieces: string[] = [];
  const options = { count: 100, temperature: 0, stop: ["END"] };
  for await (const piece of generateText(decoder, byteTokenizer(), "x", options)) pieces.push(piece);
  expect(pieces.join("")).toBe("aé€ ");
  expect(pieces.join("")).not.toContain("\ufffd");
});

test("wrong prompts and tokens are refused", async () => {
  const decoder = openDecoder(model, params, { device: await openCpu(), maxLength: 4 });
  await expect(decoder.read([])).rejects.toThrow("at least one token");
  await expect(decoder.read([256])).rejects.toThrow("expected tokens of 0 … 255, got 256");
  await expect(decoder.read([1, 2, 3, 4, 5])).rejects.toThrow("more than maxLength 4");
});
