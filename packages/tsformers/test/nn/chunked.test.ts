import {
  compile,
  type Device,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  matmul,
  mul,
  normal,
  randomKey,
  sin,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Context, evaluation } from "../../src/kinds/layer.ts";
import { type GptParams, gpt } from "../../src/models/decoders/gpt.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { chunkedFeedForward } from "../../src/nn/chunked.ts";
import { chunkedCrossEntropies } from "../../src/nn/chunked-cross-entropy.ts";
import { crossEntropies } from "../../src/nn/cross-entropy.ts";
import { type FeedForward, gatedMlp, geluTanh, type MlpParams, mlp, silu } from "../../src/nn/feed-forward.ts";
import { normalInitial } from "../../src/nn/initial.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

function numbersOf(tree: unknown): number[] {
  return flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());
}

function expectClose(actual: readonly number[], expected: readonly number[], digits = 5): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, digits);
}

const width = 6;
const options = { modelWidth: width, ffnWidth: 10, initial: normalInitial(0.5) };
const networks: Record<string, FeedForward<never>> = {
  mlp: mlp({ ...options, activation: geluTanh }) as unknown as FeedForward<never>,
  gatedMlp: gatedMlp({ ...options, activation: silu }) as unknown as FeedForward<never>,
};
const inputs = (length: number) => normal(randomKey(length), [2, length, width]);

describe.each(Object.entries(networks))("chunked %s", (_, ffn) => {
  test.each([
    [1, 4],
    [7, 3],
    [8, 4],
    [5, 1],
  ])("length %i in chunks of %i, output and gradients", async (length, chunkLength) => {
    const x = inputs(length);
    const params = ffn.init(randomKey(9));
    const both = (one: FeedForward<never>) => (params: never, x: Tensor) => [
      one.apply(params, x, evaluation),
      grad(([p, x]: [never, Tensor]) => sum(sin(one.apply(p, x, evaluation))))([params, x]),
    ];
    const expected = numbersOf(await evaluate(both(ffn), device, params, x));
    for (const recompute of [false, true]) {
      const chunked = chunkedFeedForward(ffn, { chunkLength, recompute });
      expectClose(numbersOf(await evaluate(both(chunked), device, params, x)), expected);
    }
  });
});

test("each chunk has a mask of its own, the same in both passes", async () => {
  const ffn = mlp({ ...options, activation: (x) => x, dropoutRate: 0.5 });
  const params = ffn.init(randomKey(9));
  const row = normal(randomKey(1), [1, 1, width]).toNumbers();
  const x = fromNumbers([...row, ...row, ...row, ...row], [1, 4, width]);
  const run = (recompute: boolean) => (p: MlpParams, x: Tensor, key: Tensor) => {
    const chunked = chunkedFeedForward(ffn, { chunkLength: 2, recompute });
    return {
      out: chunked.apply(p, x, { key }),
      // d out / d bias is the mask, scaled
      mask: grad((bias: Tensor) => sum(mul(chunked.apply({ ...p, out: { ...p.out, bias } }, x, { key }), x)))(
        p.out.bias!,
      ),
    };
  };
  const key = keyToArray(randomKey(2));
  const [kept, again] = [
    await evaluate(run(false), device, params, x, key),
    await evaluate(run(true), device, params, x, key),
  ];
  expect(again.out.toNumbers()).toEqual(kept.out.toNumbers());
  expectClose(again.mask.toNumbers(), kept.mask.toNumbers());
  const rows = [0, 1, 2, 3].map((t) => kept.out.toNumbers().slice(t * width, (t + 1) * width));
  expect(rows[0]).not.toEqual(rows[2]);
});

test("chunks of no positions are refused", () => {
  expect(() => chunkedFeedForward(networks.mlp!, { chunkLength: 0 })).toThrow(
    "chunkedFeedForward: chunkLength must be an integer ≥ 1, got 0",
  );
});

describe.each([0, 0.1])("losses in chunks, smoothing %d", (smoothing) => {
  const vocabulary = 11;
  const head = normal(randomKey(1), [width, vocabulary]);
  test.each([
    [7, 3],
    [8, 4],
    [3, 100],
  ])("length %i in chunks of %i, values and gradients", async (length, chunkLength) => {
    const x = inputs(length);
    const targets = fromNumbers(
      Array.from({ length: 2 * length }, (_, i) => (i * 5) % vocabulary),
      [2, length],
      "int32",
    );
    const weights = normal(randomKey(3), [2, length]);
    const whole = (x: Tensor, head: Tensor, targets: Tensor) => crossEntropies(matmul(x, head), targets, { smoothing });
    const parts = (x: Tensor, head: Tensor, targets: Tensor) =>
      chunkedCrossEntropies(x, (x) => matmul(x, head), targets, { chunkLength, smoothing });
    const both = (losses: typeof whole) => (x: Tensor, head: Tensor, targets: Tensor, weights: Tensor) => [
      losses(x, head, targets),
      grad(([x, head]: [Tensor, Tensor]) => sum(mul(losses(x, head, targets), weights)))([x, head]),
    ];
    const expected = await evaluate(both(whole), device, x, head, targets, weights);
    expectClose(numbersOf(await evaluate(both(parts), device, x, head, targets, weights)), numbersOf(expected));
  });
});

test("a language model trains the same with the loss in chunks", async () => {
  const whole = gpt({ vocabularySize: 11, layers: 1, modelWidth: width, heads: 2, length: 5 });
  type Params = GptParams;
  const model = (speaks: boolean): LanguageModel<Params> => ({
    ...whole,
    apply: (...given) => {
      const { toLogits, ...out } = whole.apply(...given);
      return speaks ? { ...out, toLogits: toLogits! } : out;
    },
  });
  const inputs = fromNumbers([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2, 5], "int32");
  const targets = fromNumbers([2, 3, 4, 5, 6, 7, 8, 9, 10, 0], [2, 5], "int32");
  const batch = { inputs, targets, weights: fromNumbers([1, 1, 0, 1, 1, 1, 2, 1, 1, 1], [2, 5]) };
  type Batch = { inputs: Tensor; targets: Tensor; weights: Tensor };
  const slopes =
    (options: { lossChunk?: number }, speaks = true) =>
    (params: Params, batch: Batch) => {
      const { loss } = tokenObjective(model(speaks), { smoothing: 0.1, ...options });
      const context: Context = {};
      const { total, weight } = loss(params, batch, context);
      return [total, weight, grad((params: Params) => loss(params, batch, context).total)(params)];
    };
  const params = model(true).init(randomKey(1));
  const expected = numbersOf(await evaluate(slopes({}), device, params, batch));
  expectClose(numbersOf(await evaluate(slopes({ lossChunk: 3 }), device, params, batch)), expected);
  const mute = compile(slopes({ lossChunk: 3 }, false), { device });
  await expect(mute(params, batch)).rejects.toThrow("lossChunk: this model does not say");
});
