import {
  evaluate,
  flatten,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { type CalmOptions, calm } from "../../src/models/encoder-decoders/calm.ts";
import {
  type DepthAdaptiveOptions,
  depthAdaptiveTransformer,
} from "../../src/models/encoder-decoders/depth-adaptive-transformer.ts";
import type { SequenceToSequence } from "../../src/models/sequence-to-sequence.ts";
import { sequenceToSequenceObjective } from "../../src/objectives/sequence-to-sequence.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const V = 9;
const sizes = { vocabularySize: V, layers: 1, decoderLayers: 3, modelWidth: 12, heads: 2 };
const adaptive = (options: DepthAdaptiveOptions = {}) => depthAdaptiveTransformer({ ...sizes, ...options });
const confidentModel = (options: Partial<CalmOptions> = {}) => calm({ ...sizes, ...options });

const row = [1, 2, 3, 4, 5, 6];
const int = (values: readonly number[]) => fromNumbers(values, [1, values.length], "int32");
const ones = fromNumbers(new Array(row.length).fill(1), [1, row.length]);
const batch = {
  source: int(row),
  sourceWeights: ones,
  inputs: int([0, ...row.slice(1)]),
  targets: int(row),
  weights: ones,
};

type Model = SequenceToSequence<never>;

/** A few symbols written alike would hide where tokens leave. */
const paramsOf = (model: Model): never => mapTree(model.init(randomKey(3)), isNdArray, louder) as never;

/** Logits and steps of a target, all at once. */
async function read(model: Model, params: never, tokens: readonly number[]) {
  const pass = (params: never, source: Tensor, target: Tensor) => {
    const encoded = model.encode(params, { tokens: source }, evaluation);
    const { logits, steps } = model.decode(params, { tokens: target, encoded }, evaluation);
    return { logits, steps: steps! };
  };
  const { logits, steps } = (await evaluate(pass, device, params, int(row), int(tokens))) as unknown as Record<
    string,
    NDArray
  >;
  return { logits: logits!.toNumbers(), steps: steps!.toNumbers() };
}

/** The losses that training adds, and the gradient of one of them. */
async function lossesOf(model: Model, params: never, name?: string) {
  const pass = (params: never, given: typeof batch, key: Tensor) => {
    const { loss } = sequenceToSequenceObjective(model);
    const run = (params: never) => loss(params, given as never, { key });
    const { losses, total, weight } = run(params);
    const slopes = name === undefined ? {} : grad((own: never) => run(own).losses![name]!)(params);
    return { losses: losses!, total, weight, slopes };
  };
  const key = keyToArray(randomKey(7));
  return (await evaluate(pass as never, device, params, batch as never, key as never)) as unknown as {
    losses: Record<string, NDArray>;
    total: NDArray;
    weight: NDArray;
    slopes: unknown;
  };
}

/** Paths of parameters that a gradient moves. */
function moved(slopes: unknown): string[] {
  const { leaves, paths } = flatten(slopes, isNdArray);
  return paths.filter((_, i) => leaves[i]!.toNumbers().some((x) => x !== 0));
}

const models: [string, Model][] = [
  ["geometric", adaptive({ threshold: 0.5 }) as Model],
  ["multinomial", adaptive({ exit: "multinomial" }) as Model],
  ["confidence", adaptive({ exit: "confidence", threshold: 0.36 }) as Model],
  ["softmax", confidentModel({ threshold: 0.08 }) as Model],
  ["softmax that falls", confidentModel({ threshold: 0, decay: { length: 20 } }) as Model],
  ["saturation", confidentModel({ confidence: "saturation", threshold: 0.9 }) as Model],
  ["classifier", confidentModel({ confidence: "classifier", threshold: 0.5 }) as Model],
];

test.each(models)("%s: written token by token, with layers left out, is what one pass gives", async (_, model) => {
  const params = paramsOf(model);
  const tokens = [0, 3, 8, 1, 6, 4, 2, 7];
  const { logits, steps } = await read(model, params, tokens);
  const decoder = openSequenceDecoder(model, params, { device });
  const target = await decoder.begin(row, { maxLength: tokens.length });
  for (const [t, token] of tokens.entries()) {
    const found = await target.read([token]);
    const own = logits.slice(t * V, (t + 1) * V);
    const norm = Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0));
    own.forEach((x, v) => {
      expect(found[v]).toBeCloseTo(x - norm, 4);
    });
  }
  await decoder.release();
  expect(steps.every((layers) => layers >= 1 && layers <= 3)).toBe(true);
  expect(new Set(steps).size).toBeGreaterThan(1);
});

describe("with all layers for every token", () => {
  test.each<[string, (least: number) => Model]>([
    ["depth-adaptive", (leastLayers) => adaptive({ threshold: 0, leastLayers }) as Model],
    ["calm", (leastLayers) => confidentModel({ threshold: -1, leastLayers }) as Model],
  ])("%s: exits are the layers of one model", async (_, make) => {
    const params = paramsOf(make(3));
    const found = await Promise.all([1, 2, 3].map((least) => read(make(least), params, row)));
    found.forEach(({ steps }, i) => {
      expect(new Set(steps)).toEqual(new Set([i + 1]));
    });
    expect(found[0]!.logits).not.toEqual(found[2]!.logits);
  });
});

describe("losses in training", () => {
  /** −log p of the targets where the model ends after so many layers, every token: the exits as models of their own. */
  async function exitLosses(make: (leastLayers: number) => Model, params: never): Promise<number[]> {
    const inputs = [0, ...row.slice(1)];
    return Promise.all(
      [1, 2, 3].map(async (least) => {
        const { logits } = await read(make(least), params, inputs);
        const each = row.map((target, t) => {
          const own = logits.slice(t * V, (t + 1) * V);
          return Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0)) - own[target]!;
        });
        return each.reduce((a, b) => a + b, 0) / each.length;
      }),
    );
  }

  test("depth-adaptive, aligned: those of earlier exits are added up, and the classifier moves", async () => {
    const model = adaptive({ threshold: 2 }) as Model;
    const params = paramsOf(model);
    const { losses, total, weight, slopes } = await lossesOf(model, params, "exit");
    // The states of earlier exits are those of a pass where nobody leaves: read at a threshold that nobody reaches, at other depths.
    const [first, second, last] = await exitLosses((n) => adaptive({ threshold: 0, leastLayers: n }) as Model, params);
    expect(total.item() / weight.item()).toBeCloseTo(last!, 4);
    expect(losses.exits!.item()).toBeCloseTo(first! + second!, 4);
    expect(moved(slopes)).toContain("decoder.exit.weight");
  });

  test("depth-adaptive, mixed: no other exits; the classifier learns from tokens that went through all layers", async () => {
    const { losses } = await lossesOf(adaptive({ training: "mixed" }) as Model, paramsOf(adaptive() as Model));
    expect(Object.keys(losses)).toEqual(["exit"]);
    expect(losses.exit!.item()).toBeGreaterThan(0);
  });

  test("confidence needs no classifier", async () => {
    const model = adaptive({ exit: "confidence" }) as Model;
    const params = paramsOf(model);
    expect(Object.keys((await lossesOf(model, params)).losses)).toEqual(["exits"]);
    expect(flatten(params, isNdArray).paths.filter((path) => path.includes("exit"))).toEqual([]);
  });

  test("calm: earlier exits in proportion to their depth, and a classifier whose gradients stop at the states", async () => {
    const model = confidentModel({ confidence: "classifier", threshold: 2 }) as Model;
    const params = paramsOf(model);
    const { losses, slopes } = await lossesOf(model, params, "consistency");
    const [first, second] = await exitLosses(
      (n) => confidentModel({ confidence: "classifier", threshold: -1, leastLayers: n }) as Model,
      params,
    );
    expect(losses.exits!.item()).toBeCloseTo(first! / 3 + (2 * second!) / 3, 4);
    expect(moved(slopes).sort()).toEqual(["decoder.exit.bias", "decoder.exit.weight"]);
  });
});

test.each<[string, () => unknown, string]>([
  ["a threshold of multinomial exits", () => adaptive({ exit: "multinomial", threshold: 0.5 }), "leave threshold away"],
  ["thresholds for other layers", () => adaptive({ threshold: [0.5] }), "each of 2 layers but the last, got 1"],
  [
    "a decoder of one layer",
    () => depthAdaptiveTransformer({ ...sizes, decoderLayers: 1 }),
    "at least 2 layers to leave one out, got 1",
  ],
  ["a decoder of one layer", () => calm({ ...sizes, decoderLayers: 1 }), "at least 2 layers to leave one out, got 1"],
  ["more layers than there are", () => adaptive({ leastLayers: 4 }), "expected leastLayers of 1 … 3, got 4"],
  ["no threshold at all", () => confidentModel({ threshold: Number.NaN }), "expected a finite threshold, got NaN"],
])("%s: refused", (_, make, words) => {
  expect(make).toThrow(words);
});
