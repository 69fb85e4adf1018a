import {
  add,
  type Concrete,
  compile,
  concat,
  constant,
  div,
  fromNumbers,
  isNdArray,
  mapTree,
  matmul,
  mean,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  reshape,
  sigmoid,
  slice,
  softmax,
  sqrt,
  square,
  type Tensor,
  tanh,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { causal, denseMask } from "../../src/attention/patterns/pattern.ts";
import { type AttentionOptions, type AttentionParams, attention } from "../../src/attention/softmax/attention.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import type { Mixer } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { rmsNorm, zeroCentredRmsNorm } from "../../src/nn/norm.ts";
import { rotary } from "../../src/position/rotary.ts";
import { expectSame, noisy } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const [length, modelWidth, heads, width] = [33, 24, 3, 8];
const rotation = rotary(width);

/** The definition, head by head, in the order norm, rotation, scale, cap, mask, sink. */
function slow({ cap, scale = width ** -0.5, keyValueHeads = heads }: Partial<AttentionOptions>, centre: number) {
  return (params: AttentionParams, x: Tensor): Tensor => {
    const normed = (y: Tensor, gain: Tensor | undefined): Tensor => {
      if (gain === undefined) return y;
      const size = sqrt(add(mean(square(y), { axes: -1, keepDims: true }), 1e-3));
      return mul(div(y, size), add(gain, centre));
    };
    const { query: turnQuery, key: turnKey } = makeView({
      pattern: causal,
      queries: length,
      keys: length,
      rotation,
    }).rotate!;
    const part = (of: { weight: Tensor }, h: number) => slice(matmul(x, of.weight), -1, h * width, (h + 1) * width);
    const turned = (turn: (x: Tensor) => Tensor, y: Tensor) =>
      reshape(turn(reshape(y, [x.shape[0]!, 1, length, width])), [x.shape[0]!, length, width]);
    const outs = Array.from({ length: heads }, (_, h) => {
      const own = Math.floor((h * keyValueHeads) / heads);
      const q = turned(turnQuery, normed(part(params.query, h), params.queryNorm?.weight));
      const k = turned(turnKey, normed(part(params.key, own), params.keyNorm?.weight));
      const z = mul(matmul(q, k, { transposeB: true }), scale);
      const capped = cap === undefined ? z : mul(tanh(div(z, cap)), cap);
      const seen = where(constant(denseMask(causal, length)), capped, -1e30);
      if (params.sink === undefined) return matmul(softmax(seen), part(params.value, own));
      const column = add(mul(slice(z, -1, 0, 1), 0), slice(params.sink, 0, h, h + 1));
      return matmul(slice(softmax(concat([seen, column], -1)), -1, 0, -1), part(params.value, own));
    });
    const joined = concat(outs, -1);
    const gated = params.gate === undefined ? joined : mul(joined, sigmoid(matmul(x, params.gate.weight)));
    return matmul(gated, params.out.weight);
  };
}

const forms: [string, Partial<AttentionOptions>, number?][] = [
  ["a cap", { cap: 0.8 }],
  ["norms of queries and keys", { qkNorm: rmsNorm({ epsilon: 1e-3 }) }],
  ["norms whose gain is 1 + w, and a scale", { qkNorm: zeroCentredRmsNorm({ epsilon: 1e-3 }), scale: 0.9 }, 1],
  ["a sink", { sink: normalInitial() }],
  ["a gate", { gate: true }],
  [
    "all, with shared keys",
    { gate: true, cap: 1.5, qkNorm: rmsNorm({ epsilon: 1e-3 }), sink: normalInitial(), keyValueHeads: 1 },
  ],
];

describe.each(forms)("softmax attention with %s", (_, own, centre = 0) => {
  test.each([undefined, 0])("equals the definition, gradients included (kept pairs: %s)", async (keptPairs) => {
    const mixer = attention({ modelWidth, heads, bias: false, ...own });
    const fast = (params: AttentionParams, x: Tensor) => {
      const kept = keptPairs === undefined ? {} : { keptPairs };
      const view = makeView({ pattern: causal, queries: length, keys: length, rotation, ...kept });
      return mixer.apply(params, { x, view }, evaluation).y;
    };
    const params = noisy(mixer.init(randomKey(1)));
    await expectSame(fast, slow(own, centre), params, normal(randomKey(2), [2, length, modelWidth]), device, 1e-4);
  });
});

test("norms and a sink begin as they are published", () => {
  const init = (own: Partial<AttentionOptions>) => attention({ modelWidth, heads, ...own }).init(randomKey(1));
  expect(init({ qkNorm: rmsNorm() }).queryNorm!.weight.toNumbers()).toEqual(new Array(width).fill(1));
  expect(init({ qkNorm: zeroCentredRmsNorm() }).keyNorm!.weight.toNumbers()).toEqual(new Array(width).fill(0));
  expect(init({ sink: normalInitial() }).sink!.shape).toEqual([heads]);
  expect(Object.keys(init({}))).toEqual(["query", "key", "value", "out"]);
});

test("what is added changes none of the other initial values", () => {
  const init = (own: Partial<AttentionOptions>) => attention({ modelWidth, heads, ...own }).init(randomKey(1));
  const [plain, all] = [init({}), init({ qkNorm: rmsNorm(), sink: normalInitial(), cap: 5, gate: true })];
  for (const part of ["query", "key", "value", "out"] as const) {
    expect(all[part].weight.toNumbers()).toEqual(plain[part].weight.toNumbers());
  }
});

test.each([0, -1, Number.NaN])("a cap of %s is refused", (cap) => {
  expect(() => attention({ modelWidth, heads, cap })).toThrow(`attention: cap must be above 0, got ${cap}`);
});

test("a model decodes with a cache as one pass computes", async () => {
  const V = 11;
  const sizes = { vocabularySize: V, layers: 2, modelWidth, heads, length: 64 };
  const settings = { qkNorm: true, cap: 2, sink: true };
  const model = gpt({
    ...sizes,
    scheme: { rotation },
    mixer: () => mixers.softmax.make(settings, { ...sizes, causal: true }) as Mixer<never>,
  });
  const params = mapTree(model.init(randomKey(2)), isNdArray, ({ shape }: NDArray) =>
    normal(randomKey(shape.length), shape, { deviation: 0.3 }),
  ) as Concrete<never>;
  const tokens = Array.from({ length: 40 }, (_, i) => (i * i + 3 * i + 1) % V);
  const pass = compile((params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits, {
    device,
  });
  const whole = (await readTree(await pass(params, fromNumbers(tokens, [1, 40], "int32")))).toNumbers();
  const decoder = openDecoder(model, params, { device, maxLength: 64 });
  await decoder.read(tokens.slice(0, 9));
  for (let t = 9; t < 40; t++) {
    const found = await decoder.read([tokens[t]!]);
    expect(Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!))), `position ${t}`).toBeLessThan(2e-4);
  }
  await decoder.release();
});
