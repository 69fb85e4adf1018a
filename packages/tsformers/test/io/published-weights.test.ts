import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decodeSafetensors, evaluate, type NDArray, ndarray, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { describe, expect, test } from "vitest";
import { openDecoder } from "../../src/generate/decoder.ts";
import { generate } from "../../src/generate/generate.ts";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { readLlama2c, readLlama2cTokenizer } from "../../src/io/llama2c.ts";
import { readTraxLanguageModel, readTraxTransformer, traxLanguageModel, traxTransformer } from "../../src/io/trax.ts";
import { evaluation } from "../../src/kinds/layer.ts";

const weights = fileURLToPath(new URL("../../../../../shared/weights/", import.meta.url));
const absent = !existsSync(weights);
if (absent) console.warn("published weights: skipped, ../shared/weights is not there");

const trax = { vocabularySize: 13, layers: 2, modelWidth: 64, heads: 2, ffnWidth: 128, length: 256 };
const file = (name: string) => new Uint8Array(readFileSync(weights + name));
const json = (name: string) => JSON.parse(readFileSync(`${weights}${name}/expected.json`, "utf8"));
const row = (tokens: readonly number[]) => ndarray(Int32Array.from(tokens), [1, tokens.length]);
const shifted = (tokens: readonly number[]) => [0, ...tokens.slice(0, -1)];

function expectLogits(found: NDArray, expected: readonly number[][]): void {
  const values = found.toNumbers();
  for (const [i, value] of expected.flat().entries()) expect(values[i]).toBeCloseTo(value, 4);
}

describe.skipIf(absent)("published weights", () => {
  test("trax_transformerlm_copy gives the expected logits and copies", async () => {
    const expected = json("trax_transformerlm_copy");
    const model = traxLanguageModel(trax);
    const { tensors } = decodeSafetensors(file("trax_transformerlm_copy/model.safetensors"));
    const params = readTraxLanguageModel(trax, tensors, "trax_transformerlm_copy") as never;
    const device = await openCpu();
    const pass = (p: never, tokens: Tensor) => model.apply(p, { tokens }, evaluation).logits;
    expectLogits((await evaluate(pass, device, params, row(shifted(expected.tokens)))) as NDArray, expected.logits);
    const decoder = openDecoder(model, params, { device, maxLength: 64 });
    const { prefix, next } = expected.greedy;
    const tokens: number[] = [];
    const options = { count: next.length, temperature: 0 };
    for await (const token of generate(decoder, [0, ...prefix], options)) tokens.push(token);
    expect(tokens).toEqual(next);
    await decoder.release();
  });

  test("trax_transformer_copy gives the expected logits and copies", async () => {
    const expected = json("trax_transformer_copy");
    const model = traxTransformer(trax);
    const { tensors } = decodeSafetensors(file("trax_transformer_copy/model.safetensors"));
    const params = readTraxTransformer(trax, tensors, "trax_transformer_copy") as never;
    const device = await openCpu();
    const pass = (p: never, source: Tensor, tokens: Tensor) => {
      const encoded = model.encode(p, { tokens: source }, evaluation);
      return model.decode(p, { tokens, encoded }, evaluation).logits;
    };
    const found = await evaluate(pass, device, params, row(expected.source), row(shifted(expected.target)));
    expectLogits(found as NDArray, expected.logits);
    const decoder = openSequenceDecoder(model, params, { device });
    const count = expected.greedy.next.length;
    const [greedy] = await decoder.decode(expected.source, { count, start: 0 });
    expect(greedy!.tokens).toEqual(expected.greedy.next);
    const [beam] = await decoder.decode(expected.source, { count, start: 0, beams: 4 });
    expect(beam!.tokens).toEqual(expected.greedy.next);
    await decoder.release();
  });

  test("stories260K tells its story to the byte", async () => {
    const expected = json("stories260K");
    const { config, model, params } = readLlama2c(file("stories260K/stories260K.bin"), "stories260K.bin");
    const tokenizer = readLlama2cTokenizer(file("stories260K/tok512.bin"), config.vocabularySize, "tok512.bin");
    const decoder = openDecoder(model, params as never, { device: await openCpu(), maxLength: config.length });
    const first = await decoder.read([1]);
    for (const [i, value] of expected.logits_pos0_bos.entries()) expect(first[i]).toBeCloseTo(value, 4);
    decoder.restart();
    const tokens = [1];
    const options = { count: expected.greedy_ids.length - 1, temperature: 0 };
    for await (const token of generate(decoder, [1], options)) tokens.push(token);
    expect(tokens).toEqual(expected.greedy_ids);
    expect(tokenizer.decode(tokens)).toBe(expected.greedy_text);
    expect(tokenizer.encode(expected.greedy_text.slice(0, 40)).slice(0, 9)).toEqual(expected.greedy_ids.slice(0, 9));
    await decoder.release();
  });

  test("a file that is cut, or has one byte more, is refused", () => {
    const bytes = file("stories260K/stories260K.bin");
    expect(() => readLlama2c(bytes.subarray(0, -4), "cut.bin")).toThrow(
      /header demands 1056540 bytes, the file has 1056536/,
    );
    expect(() => readLlama2c(bytes.subarray(0, 20), "cut.bin")).toThrow("expected a header of 28 bytes");
    const tokens = file("stories260K/tok512.bin");
    expect(() => readLlama2cTokenizer(tokens.subarray(0, 1000), 512, "cut.bin")).toThrow("cut.bin");
    expect(() => readLlama2cTokenizer(tokens, 511, "long.bin")).toThrow("expected 511 tokens");
  });
});
