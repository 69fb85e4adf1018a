import {
  add,
  type Concrete,
  compile,
  concat,
  constant,
  div,
  exp,
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
  slice,
  softmax,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { initialLambda, pairsOfHalves } from "../../src/attention/differential/differences.ts";
import {
  type DifferentialAttentionOptions,
  type DifferentialAttentionParams,
  differentialAttention,
} from "../../src/attention/differential/differential-attention.ts";
import { denseMask } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { rotary } from "../../src/position/rotary.ts";
import { expectSame, noisy } from "./outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const length = 40;
const pattern = slidingWindow({ before: 25, after: 0 });

/** The definition, head by head: the difference of two maps, and then the norm of what it mixes. */
function slow(options: DifferentialAttentionOptions) {
  const { modelWidth, heads, keyValueHeads: shared = heads, layer = 0 } = options;
  const [width, pairs, group] = [modelWidth / heads, heads / 2, heads / shared];
  const [first, second] =
    options.pairs === undefined
      ? [(i: number) => 2 * i, (i: number) => 2 * i + 1]
      : [(i: number) => i, (i: number) => i + pairs];
  return (params: DifferentialAttentionParams, x: Tensor): Tensor => {
    const head = (of: { weight: Tensor }, i: number) => slice(matmul(x, of.weight), -1, i * width, (i + 1) * width);
    const map = (h: number) => {
      const key = head(params.key, Math.floor(h / group));
      const logits = mul(matmul(head(params.query, h), key, { transposeB: true }), width ** -0.5);
      return softmax(where(constant(denseMask(pattern, length)), logits, -1e30));
    };
    const { q1, k1, q2, k2 } = params.lambda;
    const start = initialLambda(layer);
    const lambda = add(sub(exp(sum(mul(q1, k1))), exp(sum(mul(q2, k2)))), start);
    const outs = Array.from({ length: pairs }, (_, i) => {
      const [a, b] = [first(i), second(i)];
      const value = concat(
        [a, b].map((h) => {
          // Of two queries' keys, the values are the first and the second half.
          const own = Math.floor(i / group);
          const at = options.pairs === undefined ? 2 * own : own;
          return head(params.value, h === a ? at : at + (options.pairs === undefined ? 1 : shared / 2));
        }),
        -1,
      );
      const mixed = matmul(sub(map(a), mul(lambda, map(b))), value);
      const size = sqrt(add(mean(square(mixed), { axes: -1, keepDims: true }), options.epsilon ?? 1e-5));
      const normed = div(mixed, size);
      return mul(params.gain === undefined ? normed : mul(normed, params.gain), 1 - start);
    });
    return matmul(concat(outs, -1), params.out.weight);
  };
}

const forms: [string, DifferentialAttentionOptions][] = [
  ["as published", { modelWidth: 24, heads: 4 }],
  ["in a deep layer, with shared keys", { modelWidth: 24, heads: 4, keyValueHeads: 2, layer: 7 }],
  ["as in DiffLlama", { modelWidth: 24, heads: 4, keyValueHeads: 2, pairs: pairsOfHalves, gain: false, epsilon: 0.01 }],
];

describe.each(forms)("%s", (_, options) => {
  const mixer = differentialAttention(options);
  const fast = (params: DifferentialAttentionParams, x: Tensor) =>
    mixer.apply(params, { x, view: makeView({ pattern, queries: length, keys: length }) }, evaluation).y;

  test("equals the definition, gradients included", async () => {
    const params = noisy(mixer.init(randomKey(1)) as Concrete<DifferentialAttentionParams>);
    const x = normal(randomKey(2), [2, length, options.modelWidth]);
    await expectSame<DifferentialAttentionParams>(fast, slow(options), params, x, device, 1e-4);
  });
});

test("λ₀ grows from 0.2 towards 0.8", () => {
  expect([0, 1, 11, 100].map(initialLambda).map((x) => Number(x.toFixed(6)))).toEqual([0.2, 0.355509, 0.77787, 0.8]);
});

test("has the parameters of softmax attention, and four vectors and a gain a layer", () => {
  const count = (name: "softmax" | "differential") => {
    const params = mixers[name].make({}, { modelWidth: 24, heads: 4, length: 8, causal: true }).init(randomKey(1));
    let total = 0;
    mapTree(params, isNdArray, (array: NDArray) => (total += array.size));
    return total;
  };
  // The projections have no biases.
  expect(count("differential") - count("softmax")).toBe(4 * 6 + 2 * 6 - 4 * 24);
});

test.each([
  [{ heads: 3 }, "got heads 3 and keyValueHeads 3"],
  [{ heads: 4, keyValueHeads: 1 }, "got heads 4 and keyValueHeads 1"],
  [{ heads: 6, keyValueHeads: 4 }, "got heads 6 and keyValueHeads 4"],
])("%j cannot be paired, in one line", (given, words) => {
  const make = () => differentialAttention({ modelWidth: 24, ...given });
  expect(make).toThrow("differential: heads are taken two by two and share keys evenly: expected an even number");
  expect(make).toThrow(words);
});

test("a model decodes with a cache as one pass computes, with rotary positions and shared keys", async () => {
  const V = 11;
  const sizes = { vocabularySize: V, layers: 2, modelWidth: 24, heads: 4, length: 64 };
  const model = gpt({
    ...sizes,
    scheme: { rotation: rotary(6) },
    pattern,
    mixer: (layer) => mixers.differential.make({ keyValueHeads: 2 }, { ...sizes, causal: true, layer }),
  });
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array: NDArray) =>
    array.shape.length < 2
      ? array
      : fromNumbers(
          array.toNumbers().map((x) => 6 * x),
          array.shape,
        ),
  ) as Concrete<never>;
  const tokens = Array.from({ length: 50 }, (_, i) => (i * i + 3 * i + 1) % V);
  const pass = compile((params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits, {
    device,
  });
  const whole = (await readTree(await pass(params, fromNumbers(tokens, [1, 50], "int32")))).toNumbers();
  const decoder = openDecoder(model, params, { device, maxLength: 64 });
  await decoder.read(tokens.slice(0, 9));
  for (let t = 9; t < 50; t++) {
    const found = await decoder.read([tokens[t]!]);
    const worst = Math.max(...found.map((x, v) => Math.abs(x - whole[t * V + v]!)));
    expect(worst, `position ${t}`).toBeLessThan(2e-4);
  }
  await decoder.release();
});
