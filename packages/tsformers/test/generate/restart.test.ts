import { type Concrete, isNdArray, mapTree, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { openDecoder } from "../../src/generate/decoder.ts";
import { generate } from "../../src/generate/generate.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";

const device = await openCpu({ threads: 1 });
afterAll(() => device.close());

test("numbers that are not finite end a sequence, and are not felt by the next one", async () => {
  const [length, damagedAt] = [60, 20];
  const model = gpt({ vocabularySize: 23, layers: 2, modelWidth: 16, heads: 4, length });
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array: NDArray) => {
    if (array.shape[0] !== length || array.shape.length !== 2) return array;
    const data = Float32Array.from(array.data as Float32Array);
    data[damagedAt * array.shape[1]!] = Number.NaN;
    return new NDArray(array.shape, "float32", data);
  }) as Concrete<never>;
  const decoder = openDecoder(model, params, { device, maxLength: length });
  const write = async () => {
    for await (const _ of generate(decoder, [5, 6, 7], { count: 40, temperature: 0 }));
  };
  await expect(write()).rejects.toThrow("after 18 tokens");
  decoder.restart();
  await expect(write()).rejects.toThrow("after 18 tokens");
  await decoder.release();
});
