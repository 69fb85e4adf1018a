import {
  evaluate,
  fromNumbers,
  isNdArray,
  mapTree,
  type NDArray,
  normal,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { linearAttention } from "../../src/attention/kernel/linear-attention.ts";
import { leakyAverage } from "../../src/depth/act.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import type { Block, Mixer } from "../../src/kinds/index.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { decoder } from "../../src/models/decoder.ts";
import {
  type UniversalTransformerOptions,
  universalTransformer,
  universalTransformerEntry,
  universalTransformerParts,
} from "../../src/models/decoders/universal-transformer.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSameTrees, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, length] = [13, 16, 14];
const sizes = { vocabularySize: V, layers: 4, modelWidth: C, heads: 2 };

/** Positions halt at different steps in all of them. */
const cases: readonly (readonly [string, Partial<UniversalTransformerOptions>])[] = [
  ["as Tensor2Tensor has it", {}],
  ["as the paper has it", { halting: { keepsHalted: true, assignsRest: true } }],
  ["norms before the sublayers", { preNorm: true }],
  ["a leaky average", { halting: { update: leakyAverage } }],
  ["linear attention", { mixer: linearAttention({ modelWidth: C, heads: 2, causal: true }) as Mixer }],
];

function prepare(more: Partial<UniversalTransformerOptions>) {
  const model = universalTransformer({ ...sizes, ...more });
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array, path) =>
    path.startsWith("halt") ? normal(randomKey(9), array.shape, { deviation: 0.5 }) : louder(array, path),
  );
  const run = (tokens: number[][], mask?: number[][]) => {
    const arrayOf = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
    const pass = (params: unknown, tokens: Tensor, mask?: Tensor) => {
      const out = model.apply(params as never, { tokens, ...(mask === undefined ? {} : { mask }) }, evaluation);
      return { logits: out.logits, steps: out.steps! };
    };
    return evaluate(pass, device, params as never, arrayOf(tokens), mask && arrayOf(mask)) as Promise<{
      logits: NDArray;
      steps: NDArray;
    }>;
  };
  return { model, params, run };
}

const tokensOf = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => (i * i * 3 + seed * i) % V);

describe.each(cases)("%s", (_, more) => {
  test("tokens one by one give what one pass gives, though they halt at different steps", async () => {
    const { model, params, run } = prepare(more);
    const tokens = tokensOf(length);
    const { logits, steps } = await run([tokens]);
    expect(new Set(steps.toNumbers()).size).toBeGreaterThan(1);
    const decoder = openDecoder(model, params as never, { device, maxLength: length });
    for (let t = 0; t < length; t++) {
      const found = fromNumbers([...(await decoder.read([tokens[t]!]))], [V]);
      expectSameTrees(found, fromNumbers(logits.toNumbers().slice(t * V, (t + 1) * V), [V]), 1e-4);
    }
    await decoder.release();
  });

  test("later tokens and other rows change nothing", async () => {
    const { run } = prepare(more);
    const [a, b] = [tokensOf(length), tokensOf(length, 5)];
    const both = await run([a, b]);
    const changed = await run([b, a.with(9, (a[9]! + 1) % V)]);
    expect(changed.logits.toNumbers().slice(length * V, (length + 9) * V)).toEqual(
      both.logits.toNumbers().slice(0, 9 * V),
    );
    expect(changed.logits.toNumbers().slice((length + 9) * V)).not.toEqual(
      both.logits.toNumbers().slice(9 * V, length * V),
    );
    const real = 8;
    const mask = Array.from({ length }, (_, t) => (t < real ? 1 : 0));
    const padded = await run([a.map((token, t) => (t < real ? token : 3))], [mask]);
    const short = await run([a.slice(0, real)]);
    expectSameTrees(
      fromNumbers(padded.logits.toNumbers().slice(0, real * V), [real, V]),
      fromNumbers(short.logits.toNumbers(), [real, V]),
    );
  });
});

test("it has the parameters of one block, however many steps it makes", () => {
  const ffnWidth = 4 * C;
  // A tied table, four projections and a network with biases, two norms, and the halting unit.
  const expected = V * C + 4 * (C * C + C) + (2 * C * ffnWidth + ffnWidth + C) + 4 * C + (C + 1);
  for (const steps of [1, 6])
    expect(sizeOf(universalTransformer({ ...sizes, layers: steps }).init(randomKey(0)))).toBe(expected);
});

test("with fixed steps it is a stack whose layers have the same weights, without a ponder loss", async () => {
  const fixed = universalTransformer({ ...sizes, fixedSteps: true });
  const params = mapTree(fixed.init(randomKey(2)), isNdArray, louder) as ReturnType<typeof fixed.init>;
  const parts = universalTransformerParts({ ...sizes, fixedSteps: true });
  const stack = decoder({ ...parts, depth: blockStack(parts.depth.layers as readonly Block[]) });
  const repeated = { ...params, blocks: new Array(sizes.layers).fill(params.blocks[0]) };
  const tokens = fromNumbers(tokensOf(length), [1, length], "int32");
  const run = (model: LanguageModel<never>, params: unknown) => {
    const pass = (params: never, tokens: Tensor) => {
      const { logits, losses } = model.apply(params, { tokens }, evaluation);
      return { logits, losses };
    };
    return evaluate(pass, device, params as never, tokens);
  };
  const [found, expected] = [await run(fixed as never, params), await run(stack as never, repeated)];
  expectSameTrees(found.logits, expected.logits, 1e-5);
  expect(found.losses).toEqual({});
});

test("fixed steps and halting contradict each other", () => {
  expect(() => universalTransformer({ ...sizes, fixedSteps: true, ponderWeight: 0.1 })).toThrow(
    "universal-transformer: with fixed steps no position halts by itself; leave out ponderWeight",
  );
  expect(() => universalTransformerEntry.make({ ...sizes, halts: false, ponderWeight: 0.1 })).toThrow(
    "leave out ponderWeight",
  );
});

test("it learns to copy, and its ponder loss is told by its name", async () => {
  const task = copyTask({ symbols: 3, length: 8 });
  const model = universalTransformer({ ...sizes, vocabularySize: task.vocabularySize, modelWidth: 32, layers: 3 });
  const losses: number[] = [];
  const ponder: number[] = [];
  await train({
    objective: tokenObjective(model) as never,
    task,
    view: task.views.next,
    optimiser: adamw(),
    schedule: constantRate(3e-3),
    steps: 60,
    batchSize: 16,
    length: 8,
    device,
    onEvent: (event) => {
      if (event.kind !== "step") return;
      losses.push(event.loss);
      ponder.push(event.losses.ponder!);
    },
  });
  expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);
  // Between one update with all of the weight, and all three.
  for (const loss of ponder) {
    expect(loss).toBeGreaterThanOrEqual(0.01);
    expect(loss).toBeLessThanOrEqual(0.01 * 4);
  }
});
