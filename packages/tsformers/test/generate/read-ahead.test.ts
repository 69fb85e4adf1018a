import {
  type Concrete,
  type Device,
  evaluate,
  isNdArray,
  mapTree,
  NDArray,
  ndarray,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { union } from "../../src/attention/patterns/combine.ts";
import { dilatedHeads } from "../../src/attention/patterns/dilated.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import type { Decoder } from "../../src/generate/decoding.ts";
import { type GenerateOptions, generate } from "../../src/generate/generate.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";

const cpu = await openCpu({ threads: 1 });
afterAll(() => cpu.close());

/** The CPU, which counts its runs. */
let runs = 0;
const device: Device = {
  ...cpu,
  load: async (...args) => {
    const executable = await cpu.load(...args);
    const run: typeof executable.run = (...given) => {
      runs++;
      return executable.run(...given);
    };
    return { ...executable, run };
  },
};

const [V, length] = [23, 200];
const sizes = { vocabularySize: V, layers: 2, modelWidth: 16, heads: 4, length };
const window = slidingWindow({ before: 20, after: 0 });
const models = {
  full: gpt(sizes),
  "a window": gpt({ ...sizes, pattern: window }),
  "gaps by head": gpt({ ...sizes, pattern: dilatedHeads({ before: 3, after: 0, dilations: [1, 2, 5] }) }),
  "a window and pinned positions": gpt({
    ...sizes,
    pattern: union(window, globalTokens({ positions: [0, 70], causal: true })),
  }),
};
const choices: Partial<GenerateOptions>[] = [
  { temperature: 0 },
  { temperature: 0.7, seed: 3 },
  { temperature: 1.5, topK: 5, seed: 4 },
  { topP: 0.6, seed: 5, forbiddenTokens: [0, 7] },
  { temperature: 0, forbiddenTokens: [1, 2, 3] },
];

/** Initial weights of 0.02 would let everything look alike. */
function loud(array: NDArray): NDArray {
  if (array.dtype !== "float32" || array.shape.length < 2) return array;
  return new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 20 * x),
  );
}

function paramsOf(model: (typeof models)["full"]): Concrete<never> {
  return mapTree(model.init(randomKey(2)), isNdArray, loud) as Concrete<never>;
}

/** The same decoder, never told what comes. */
function oneByOne(decoder: Decoder): Decoder {
  return {
    maxLength: decoder.maxLength,
    get length() {
      return decoder.length;
    },
    read: (tokens) => decoder.read(tokens),
    restart: () => decoder.restart(),
    release: () => decoder.release(),
  };
}

async function written(decoder: Decoder, options: Partial<GenerateOptions>): Promise<number[]> {
  const tokens: number[] = [];
  decoder.restart();
  for await (const token of generate(decoder, [5, 6, 7], { count: 190, ...options })) tokens.push(token);
  return tokens;
}

describe.each(Object.entries(models))("%s", (_, model) => {
  test("the same tokens are written in fewer runs, whatever the options", async () => {
    const decoder = openDecoder(model, paramsOf(model), { device, maxLength: length });
    await written(oneByOne(decoder), { temperature: 0 });
    for (const options of choices) {
      const expected = await written(oneByOne(decoder), options);
      const before = runs;
      expect(await written(decoder, options), JSON.stringify(options)).toEqual(expected);
      expect(runs - before).toBeLessThan(190 / 4);
      expect(new Set(expected).size).toBeGreaterThan(options.temperature === 0 ? 1 : 4);
    }
    await decoder.release();
  });

  test("tokens that were not asked for leave nothing behind", async () => {
    const params = paramsOf(model);
    const decoder = openDecoder(model, params, { device, maxLength: length });
    await written(oneByOne(decoder), { temperature: 0 });
    const all = (await written(decoder, { temperature: 0, count: 90 })).slice(0, 90);
    const begun: number[] = [];
    decoder.restart();
    for await (const token of generate(decoder, [5, 6, 7], { count: 190, temperature: 0 })) {
      begun.push(token);
      if (begun.length === 40) break;
    }
    expect(begun).toEqual(all.slice(0, 40));
    expect(decoder.length).toBe(42);
    const read = [5, 6, 7, ...begun.slice(0, 39), 9, 9, 4];
    const found = await decoder.read(read.slice(42));
    const whole = (await evaluate(
      (p: never, tokens: Tensor) => model.apply(p, { tokens }, evaluation).logits,
      cpu,
      params,
      ndarray(Int32Array.from(read), [1, read.length]),
    )) as unknown as NDArray;
    const last = whole.toNumbers().slice(-V);
    found.forEach((value, i) => {
      expect(value).toBeCloseTo(last[i]!, 3);
    });
    await decoder.release();
  });
});

test("logits that stop being finite end a sequence at the same token", async () => {
  const model = models.full;
  const params = paramsOf(model) as never as { positions?: NDArray };
  // The vector of position 100 is damaged.
  const damaged = mapTree(params, isNdArray, (array: NDArray) => {
    if (array.shape[0] !== length || array.shape.length !== 2) return array;
    const data = Float32Array.from(array.data as Float32Array);
    data[100 * array.shape[1]!] = Number.NaN;
    return new NDArray(array.shape, "float32", data);
  }) as never;
  const broken = openDecoder(model, damaged, { device, maxLength: length });
  await expect(written(oneByOne(broken), { temperature: 0 })).rejects.toThrow("after 98 tokens");
  await expect(written(broken, { temperature: 0 })).rejects.toThrow("after 98 tokens");
  await expect(written(broken, { temperature: 1 })).rejects.toThrow("after 98 tokens");
  await broken.release();
});
