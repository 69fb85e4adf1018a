import {
  add,
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  type NDArray,
  normal,
  ones,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { type EncoderDecoderParams, encoderDecoder } from "../../src/models/encoder-decoder.ts";
import {
  type UniversalEncoderDecoderOptions,
  universalEncoderDecoder,
  universalEncoderDecoderEntry,
  universalEncoderDecoderParts,
} from "../../src/models/encoder-decoders/universal-encoder-decoder.ts";
import { sequenceToSequenceObjective } from "../../src/objectives/sequence-to-sequence.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, layers] = [13, 16, 3];
const sizes = { vocabularySize: V, layers, modelWidth: C, heads: 2 };
const tokensOf = (count: number, seed: number) =>
  fromNumbers(
    Array.from({ length: count }, (_, i) => (i * i * 3 + seed * i + 1) % V),
    [1, count],
    "int32",
  );
const [source, target] = [tokensOf(9, 2), tokensOf(7, 1)];

type Model = ReturnType<typeof universalEncoderDecoder>;

function run(model: Model, params: unknown) {
  const pass = (params: never, source: Tensor, tokens: Tensor) => {
    const encoded = model.encode(params, { tokens: source }, evaluation);
    const { logits, steps, losses } = model.decode(params, { tokens, encoded }, evaluation);
    return {
      logits,
      losses: { source: encoded.losses, target: losses },
      steps: { source: encoded.steps, target: steps },
    };
  };
  return evaluate(pass, device, params as never, source, target);
}

function prepare(more: Partial<UniversalEncoderDecoderOptions> = {}) {
  const model = universalEncoderDecoder({ ...sizes, ...more });
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array, path) =>
    path.includes("halt") ? normal(randomKey(9), array.shape, { deviation: 0.5 }) : louder(array, path),
  ) as EncoderDecoderParams;
  return { model, params };
}

test("with fixed steps it is an encoder-decoder all of whose layers have the same weights", async () => {
  const { model, params } = prepare({ fixedSteps: true });
  const { depth: _, ...parts } = universalEncoderDecoderParts({ ...sizes, fixedSteps: true });
  const repeated = ({ blocks }: { readonly blocks: readonly unknown[] }) => ({
    blocks: new Array(layers).fill(blocks[0]),
  });
  const long = { ...params, encoder: repeated(params.encoder), decoder: repeated(params.decoder) };
  const [found, expected] = [await run(model, params), await run(encoderDecoder(parts), long)];
  expectSameTrees(found.logits, expected.logits, 1e-5);
  expect(found.losses).toEqual({ source: {}, target: {} });
  expect(Object.keys(found.steps).filter((side) => found.steps[side as "source"] !== undefined)).toEqual([]);
});

test("what halts at once is a model of one step", async () => {
  const certain = (bias: number) => ({
    weight: fromNumbers(new Array<number>(C).fill(0), [C, 1]),
    bias: fromNumbers([bias], [1]),
  });
  const { model, params } = prepare();
  const halting = {
    ...params,
    encoder: { ...params.encoder, halt: certain(20) },
    decoder: { ...params.decoder, halt: certain(20) },
  };
  const [found, expected] = [
    await run(model, halting),
    await run(universalEncoderDecoder({ ...sizes, layers: 1, fixedSteps: true }), params),
  ];
  expectSameTrees(found.logits, expected.logits, 1e-5);
  expect(found.steps.source!.toNumbers()).toEqual(new Array(9).fill(1));
  // One update and all of the weight on either side.
  expect([found.losses.source, found.losses.target].map(({ ponder }) => ponder!.item())).toEqual([
    expect.closeTo(0.02, 6),
    expect.closeTo(0.02, 6),
  ]);
});

describe.each([
  ["fixed steps", { fixedSteps: true }],
  ["halting", {}],
  ["halting, with norms before the sublayers", { preNorm: true }],
  ["halting as the paper has it", { halting: { keepsHalted: true, assignsRest: true } }],
] as const)("%s", (_, more) => {
  test("tokens one by one give what one pass gives", async () => {
    const { model, params } = prepare(more);
    const { logits, steps } = await run(model, params);
    if (steps.target !== undefined) expect(new Set((steps.target as NDArray).toNumbers()).size).toBeGreaterThan(1);
    const opened = openSequenceDecoder(model, params as never, { device });
    const decoder = await opened.begin(source.toNumbers(), { maxLength: 7 });
    for (const [t, token] of target.toNumbers().entries()) {
      const found = fromNumbers([...(await decoder.read([token]))], [V]);
      const own = logits.toNumbers().slice(t * V, (t + 1) * V);
      const normaliser = Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0));
      expectSameTrees(
        found,
        fromNumbers(
          own.map((x) => x - normaliser),
          [V],
        ),
        1e-4,
      );
    }
    await opened.release();
  });
});

test("it has the parameters of one block on either side, however many steps it makes", () => {
  const F = 4 * C;
  const [attention, ffn] = [4 * (C * C + C), 2 * C * F + F + C];
  const expected = V * C + (attention + ffn + 4 * C) + (2 * attention + ffn + 6 * C);
  for (const steps of [1, 5]) {
    const own = { ...sizes, layers: steps };
    expect(sizeOf(universalEncoderDecoder({ ...own, fixedSteps: true }).init(randomKey(0)))).toBe(expected);
    expect(sizeOf(universalEncoderDecoder(own).init(randomKey(0)))).toBe(expected + 2 * (C + 1));
  }
});

test.each([{ fixedSteps: true }, {}] as const)("every parameter learns, with %o", async (more) => {
  const { model, params } = prepare(more);
  const objective = sequenceToSequenceObjective(model);
  const gradients = (params: never, source: Tensor, tokens: Tensor) =>
    grad((own: never) => {
      const sourceWeights = ones(source.shape, "int32");
      const batch = { source, sourceWeights, inputs: tokens, targets: tokens, weights: ones(tokens.shape) };
      const { total, losses = {} } = objective.loss(own, batch as never, evaluation);
      return Object.values(losses).reduce((a, b) => add(a, b), total);
    })(params);
  const found = await evaluate(gradients as never, device, params as never, source as never, target as never);
  const { leaves, paths } = flatten(found as unknown, isNdArray);
  expect(paths.filter((_, i) => !leaves[i]!.toNumbers().every(Number.isFinite))).toEqual([]);
  // A bias of the keys changes all logits of a query alike.
  const idle = paths.filter((path, i) => leaves[i]!.toNumbers().every((x) => x === 0) && !path.endsWith("key.bias"));
  expect(idle).toEqual([]);
});

test("fixed steps and halting contradict each other", () => {
  expect(() => universalEncoderDecoder({ ...sizes, fixedSteps: true, halting: {}, ponderWeight: 0.1 })).toThrow(
    "universal-encoder-decoder: with fixed steps no position halts by itself; leave out halting and ponderWeight",
  );
  expect(() => universalEncoderDecoderEntry.make({ ...sizes, halts: false, ponderWeight: 0.1 })).toThrow(
    "leave out ponderWeight",
  );
});
