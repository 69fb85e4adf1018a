import {
  type Concrete,
  compile,
  encodeModel,
  fromNumbers,
  isNdArray,
  mapTree,
  NDArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { perHead, union } from "../../src/attention/patterns/combine.ts";
import { dilatedHeads } from "../../src/attention/patterns/dilated.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import { causal, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { perLayer } from "../../src/attention/patterns/per-layer.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { type PatternName, patterns } from "../../src/catalogue/patterns.ts";
import { type PositionName, positions } from "../../src/catalogue/positions.ts";
import { decodeCache } from "../../src/generate/decode-cache.ts";
import { keptOf } from "../../src/generate/decode-slots.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import type { LayerPatterns, PositionScheme } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import type { PositionEntry } from "../../src/position/index.ts";

const device = await openCpu();
afterAll(() => device.close());
/** A device that says it does not share memory keeps the cache to itself, as a GPU does. */
const apart = { ...device, sharesMemory: false };

const [V, length] = [11, 90];
const sizes = { layers: 2, modelWidth: 16, heads: 4, length };
const tokensPerPass = 8;
/** Lengths around the borders of passes, several reads in a row, and single tokens past the 64 positions that there is room for at first. */
const rounds = [
  [
    2 * tokensPerPass + 3,
    1,
    1,
    tokensPerPass,
    tokensPerPass + 1,
    tokensPerPass - 1,
    1,
    3 * tokensPerPass,
    ...Array(5).fill(1),
  ],
  [1, tokensPerPass - 1, 1, tokensPerPass + 1],
  [tokensPerPass, 1, tokensPerPass],
] as number[][];

/** Decodes piece by piece and compares with one pass. */
async function expectOnePass(
  pattern: Pattern | LayerPatterns,
  scheme: PositionScheme | undefined,
  on: typeof device = device,
): Promise<void> {
  const model = gpt({ vocabularySize: V, ...sizes, pattern, ...(scheme === undefined ? {} : { scheme }) });
  const params = mapTree(model.init(randomKey(2)), isNdArray, loud) as Concrete<never>;
  const tokens = Array.from({ length }, (_, i) => (i * i + 3 * i + 1) % V);
  const pass = compile((p: never, t: Tensor) => model.apply(p, { tokens: t }, evaluation).logits, { device: on });
  const whole = (await readTree(await pass(params, fromNumbers(tokens, [1, length], "int32")))).toNumbers();
  const decoder = openDecoder(model, params, { device: on, maxLength: length, tokensPerPass });
  for (const round of rounds) {
    decoder.restart();
    for (const count of round) {
      const at = decoder.length;
      const found = await decoder.read(tokens.slice(at, at + count));
      const row = whole.slice((at + count - 1) * V, (at + count) * V);
      const worst = Math.max(...row.map((x, v) => Math.abs(x - found[v]!)));
      expect(worst, `${count} tokens behind ${at}`).toBeLessThan(5e-4);
    }
  }
  await decoder.release();
  await pass.release();
}

/** Initial weights of 0.02 would let everything look alike. */
function loud(array: NDArray): NDArray {
  if (array.dtype !== "float32" || array.shape.length < 2) return array;
  const data = Float32Array.from(array.data as Float32Array, (x) => 8 * x);
  return new NDArray(array.shape, "float32", data);
}

async function schemeOf(name: PositionName): Promise<PositionScheme> {
  return entryOf<PositionEntry>(positions, name).make({}, sizes);
}

const window = (before: number) => slidingWindow({ before, after: 0 });
const globals = (...positions: number[]) => globalTokens({ positions, causal: true });

// Two schemes in turn: one that turns keys, one that looks distances up.
const names = (Object.keys(patterns) as PatternName[]).filter((name) => patterns[name].directions.includes("causal"));
test.each(names.map((name, i) => [name, i % 2 === 0 ? "rotary" : "shaw"] as const))(
  "%s of the catalogue, with %s positions",
  async (name, scheme) => {
    const pattern = patterns[name].make({}, { ...sizes, causal: true });
    await expectOnePass(pattern, await schemeOf(scheme));
  },
);

const further: [string, Pattern | LayerPatterns][] = [
  ["a window as long as the text", window(length)],
  ["itself alone", window(0)],
  ["the causal part of what looks ahead", slidingWindow({ before: 5, after: 4 })],
  ["a window of a pass", window(tokensPerPass)],
  ["a window less one", window(tokensPerPass - 1)],
  ["windows and gaps by head", dilatedHeads({ before: 3, after: 0, dilations: [1, 2, 5] })],
  ["all and a window by head", perHead([causal, window(5)])],
  ["windows by layer", perLayer([window(20), window(3)])],
  ["all and pinned by layer", perLayer([causal, union(window(6), globals(0, 21, 40))])],
  ["pinned by head", perHead([union(window(9), globals(2)), window(4)])],
  ["nothing but what is pinned", globals(0, 1)],
];

test.each(further)("%s, in memory that is shared", (_, pattern) => expectOnePass(pattern, undefined));

test.each(further.filter((_, i) => i % 2 === 1))("%s, on a device of its own", async (_, pattern) =>
  expectOnePass(pattern, await schemeOf("alibi"), apart),
);

const schemes = (Object.keys(positions) as PositionName[]).filter((name) => positions[name].category !== "inputs");

describe.each([
  ["a window", window(13)],
  ["a window and pinned positions", union(window(6), globals(0, 21, 40))],
  ["all", causal],
])("%s", (_, pattern) => {
  test.each([...schemes, "per-layer"] as const)("with %s positions", async (name) =>
    expectOnePass(pattern, await schemeOf(name)),
  );
});

/** The sizes of the programs that a device loads. */
function counting(): { readonly device: typeof device; readonly bytes: number[] } {
  const bytes: number[] = [];
  const load: typeof device.load = (model) => {
    bytes.push(encodeModel(model).byteLength);
    return device.load(model);
  };
  return { device: { ...device, load }, bytes };
}

test.each([
  ["a window", window(20), 3],
  ["a window and a pinned position", union(window(20), globals(0)), 3],
  // One for each of the capacities 64, 128, … 1,024.
  ["all", causal, 7],
])(
  "%s: a long prompt takes few programs, none of which grows with the square of its length",
  async (_, pattern, most) => {
    const model = gpt({ vocabularySize: V, ...sizes, pattern, scheme: {} });
    const { device, bytes } = counting();
    const decoder = openDecoder(model, model.init(randomKey(1)), { device, maxLength: 3000, tokensPerPass });
    await decoder.read(Array.from({ length: 1001 }, (_, i) => i % V));
    expect(bytes.length).toBeLessThanOrEqual(most);
    expect(Math.max(...bytes)).toBeLessThan(200_000);
    await decoder.release();
  },
);

test.each([true, false])(
  "a window keeps room for itself alone, other layers for all (shared memory: %s)",
  async (sharesMemory) => {
    const own = [window(20), union(window(99), globals(0, 3)), causal];
    const model = gpt({ vocabularySize: V, ...sizes, layers: 3, pattern: perLayer(own) });
    const cache = decodeCache(model.layers, keptOf(own, 5000), { ...device, sharesMemory }, 1);
    const room = () => cache.layers.map(({ key }) => key.shape[2]);
    await cache.grow(10, 0);
    expect(room()).toEqual([21, 66, 64]);
    await cache.grow(100, 10);
    expect(room()).toEqual([21, 102, 128]);
    await cache.grow(4800, 100);
    expect(room()).toEqual([21, 102, 5000]);
    expect(cache.needsMore(5000)).toBe(false);
    const near = decodeCache(model.layers, keptOf([own[0]!, own[0]!, own[1]!], 5000), device, 1);
    await near.grow(100, 0);
    expect(near.needsMore(5000)).toBe(false);
  },
);

test("how many tokens a pass reads is one or more", () => {
  const model = gpt({ vocabularySize: V, ...sizes });
  const open = (tokensPerPass: number) =>
    openDecoder(model, model.init(randomKey(0)), { device, maxLength: 9, tokensPerPass });
  expect(() => open(0)).toThrow("openDecoder: expected tokensPerPass of 1 or more, got 0");
});
