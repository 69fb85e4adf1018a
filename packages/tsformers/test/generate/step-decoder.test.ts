import {
  type Concrete,
  compile,
  fromNumbers,
  isNdArray,
  mapTree,
  NDArray,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import type { MixerEntry } from "../../src/attention/index.ts";
import { union } from "../../src/attention/patterns/combine.ts";
import { globalTokens } from "../../src/attention/patterns/global.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { entryOf } from "../../src/catalogue/catalogue-of.ts";
import { type MixerName, mixers } from "../../src/catalogue/mixers.ts";
import { startDecoding } from "../../src/depth/states.ts";
import { keptOf, slotCount } from "../../src/generate/decode-slots.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { alibi } from "../../src/position/alibi.ts";
import { rotary } from "../../src/position/rotary.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { modelWidth: 12, heads: 3, length: 64 };
const V = 13;

const schemes = { alibi: { scores: alibi(sizes.heads) }, rotary: { rotation: rotary(4) } };

/** Initial weights of 0.02 would let everything look alike. */
function loud(array: NDArray): NDArray {
  if (array.dtype !== "float32" || array.shape.length < 2) return array;
  const data = Float32Array.from(array.data as Float32Array, (x) => 6 * x);
  return new NDArray(array.shape, "float32", data);
}

const window = (before: number) => slidingWindow({ before, after: 0 });
const globals = (...positions: number[]) => globalTokens({ positions, causal: true });

test.each([
  ["linear", "performer", "rotary"],
  ["longformer", "local", "alibi"],
  ["longformer", "linear", "rotary"],
] as [MixerName, MixerName, keyof typeof schemes][])(
  "%s and %s with %s positions decode as one pass computes",
  async (...names) => {
    const [first, second, scheme] = names;
    const context = { ...sizes, causal: true };
    const options = {
      longformer: { window: 6, globals: [0, 4] },
      linear: {},
      performer: { features: 8 },
      local: {},
    };
    const [a, b] = [first, second].map((name) =>
      entryOf<MixerEntry>(mixers, name).make(options[name as keyof typeof options], context),
    );
    const model = gpt({
      vocabularySize: V,
      layers: 2,
      ...sizes,
      scheme: schemes[scheme],
      mixer: (layer) => (layer === 0 ? a! : b!),
    });
    const params = mapTree(model.init(randomKey(2)), isNdArray, loud) as Concrete<never>;
    const tokens = Array.from({ length: 40 }, (_, i) => (i * i + 2 * i + 1) % V);
    const pass = compile((params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits, {
      device,
    });
    const whole = (await readTree(await pass(params, fromNumbers(tokens, [1, 40], "int32")))).toNumbers();
    const decoder = openDecoder(model, params, { device, maxLength: 50 });
    for (const round of [1, 2]) {
      await decoder.read(tokens.slice(0, 10));
      for (let t = 10; t < 40; t++) {
        const found = await decoder.read([tokens[t]!]);
        const worst = Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!)));
        expect(worst, `round ${round}, position ${t}`).toBeLessThan(2e-4);
      }
      decoder.restart();
    }
    await expect(decoder.read([V])).rejects.toThrow("expected tokens of 0 … 12, got 13");
    await decoder.release();
  },
);

test.each([
  ["a window", window(6), 7],
  ["a window and pinned positions", union(window(6), globals(0, 9)), 11],
  ["all", causal, 50],
] as const)(
  "softmax attention between layers of linear attention keeps %s, and decodes as one pass computes",
  async (_, pattern, room) => {
    const linear = mixers.linear.make({}, { ...sizes, causal: true });
    const mixer = (layer: number) => (layer === 1 ? attention(sizes) : linear) as Mixer<never>;
    const model = gpt({ vocabularySize: V, layers: 3, ...sizes, scheme: schemes.rotary, mixer, pattern });
    const params = mapTree(model.init(randomKey(2)), isNdArray, loud) as Concrete<never>;
    const tokens = Array.from({ length: 40 }, (_, i) => (i * i + 2 * i + 1) % V);
    const pass = compile((params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits, {
      device,
    });
    const whole = (await readTree(await pass(params, fromNumbers(tokens, [1, 40], "int32")))).toNumbers();
    const decoder = openDecoder(model, params, { device, maxLength: 50 });
    for (const round of [1, 2]) {
      for (let t = 0; t < 40; t++) {
        const found = await decoder.read([tokens[t]!]);
        const worst = Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!)));
        expect(worst, `round ${round}, position ${t}`).toBeLessThan(2e-4);
      }
      decoder.restart();
    }
    await decoder.release();
    const slots = keptOf(model.patterns, 50).map((own) => slotCount(own, 50));
    const started = startDecoding(model.layers, { batch: 1, capacity: 50, slots });
    const [, kept] = started as [unknown, { key: NDArray }];
    expect(kept.key.shape[2]).toBe(room);
  },
);
