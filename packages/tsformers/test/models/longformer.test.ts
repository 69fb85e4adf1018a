import {
  add,
  type Concrete,
  evaluate,
  flatten,
  fromNumbers,
  isNdArray,
  mapTree,
  mul,
  NDArray,
  randomKey,
  square,
  sum,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { longformerAttention } from "../../src/attention/softmax/longformer-attention.ts";
import { recomputing } from "../../src/depth/recomputed.ts";
import { reversing } from "../../src/depth/reversible.ts";
import { sharing } from "../../src/depth/shared.ts";
import { openSequenceDecoder } from "../../src/generate/sequence-decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { led } from "../../src/models/encoder-decoders/led.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { type LongformerOptions, longformer } from "../../src/models/encoders/longformer.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { sequenceToSequenceObjective } from "../../src/objectives/sequence-to-sequence.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { reverseTask } from "../../src/tasks/algorithmic/reverse.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const device = await openCpu();
afterAll(() => device.close());

const V = 19;
const sizes = { vocabularySize: V, layers: 2, modelWidth: 24, heads: 3 };

/** Initial weights of 0.02 would let everything look alike. */
function louder<Params>(params: Concrete<Params>): never {
  const loud = (array: NDArray) =>
    array.shape.length < 2
      ? array
      : new NDArray(
          array.shape,
          "float32",
          Float32Array.from(array.data as Float32Array, (x) => 6 * x),
        );
  return mapTree(params, isNdArray, loud) as never;
}

const sequence = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => 2 + ((i * i * 7 + i * seed + seed) % (V - 2)));

const int = (rows: readonly (readonly number[])[]): NDArray =>
  fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");

const marks = (length: number, positions: readonly number[]): number[] =>
  Array.from({ length }, (_, t) => Number(positions.includes(t)));

type Input = { readonly tokens: NDArray; readonly mask?: NDArray; readonly globals?: NDArray };

async function logitsOf(model: LanguageModel<never>, input: Input): Promise<number[][][]> {
  const params = louder(model.init(randomKey(5)));
  const run = (params: never, input: never) => model.apply(params, input, evaluation).logits;
  const logits = ((await evaluate(run, device, params, input as never)) as unknown as NDArray).toNumbers();
  const [batch, length] = input.tokens.shape as [number, number];
  const row = (b: number, t: number) => logits.slice((b * length + t) * V, (b * length + t + 1) * V);
  return Array.from({ length: batch }, (_, b) => Array.from({ length }, (_, t) => row(b, t)));
}

const worst = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);

const make = (more: Partial<LongformerOptions> = {}) =>
  longformer({ ...sizes, length: 128, windows: [4, 8], padding: 1, ...more }) as LanguageModel as LanguageModel<never>;

describe("Longformer", () => {
  test.each([1, 63, 100])("reads %i tokens, whole windows or not", async (length) => {
    const [logits] = await logitsOf(make(), { tokens: int([sequence(length)]) });
    expect(logits!.flat().every(Number.isFinite)).toBe(true);
  });

  test("without global tokens k layers see k half windows; a global token of either kind shows everything", async () => {
    const tokens = sequence(40);
    const other = tokens.with(20, 2 + ((tokens[20]! - 1) % (V - 2)));
    const moved = async (model: LanguageModel<never>, globals?: readonly number[]) => {
      const told = globals === undefined ? {} : { globals: int([marks(40, globals), marks(40, globals)]) };
      const [a, b] = await logitsOf(model, { tokens: int([tokens, other]), ...told });
      return a!.flatMap((row, t) => (worst(row, b![t]!) > 1e-4 ? [t] : []));
    };
    const near = Array.from({ length: 13 }, (_, i) => 14 + i);
    const all = tokens.map((_, t) => t);
    expect(await moved(make({ globals: [] }))).toEqual(near);
    expect(await moved(make())).toEqual(all);
    expect(await moved(make({ globals: [] }), [30])).toEqual(all);
    expect(await moved(make(), [])).toEqual(near);
  });

  test("rows do not see each other, and padding, before or behind, changes nothing", async () => {
    const model = make();
    const tokens = sequence(9);
    const globals = [0, 5];
    const [alone] = await logitsOf(model, { tokens: int([tokens]), globals: int([marks(9, globals)]) });
    const behind = [...tokens, 1, 1, 1];
    const before = [1, 1, 1, ...tokens];
    const full = sequence(12, 4);
    const rows = await logitsOf(model, {
      tokens: int([behind, before, full]),
      mask: int([behind, before, full].map((row) => row.map((token) => Number(token !== 1)))),
      globals: int([marks(12, [...globals, 10]), marks(12, [1, 3, 8]), marks(12, [2])]),
    });
    for (let t = 0; t < 9; t++) {
      expect(worst(rows[0]![t]!, alone![t]!), `padded behind, ${t}`).toBeLessThan(2e-4);
      expect(worst(rows[1]![t + 3]!, alone![t]!), `padded before, ${t}`).toBeLessThan(2e-4);
    }
    const none = await logitsOf(model, { tokens: int([tokens]), mask: int([tokens.map(() => 0)]) });
    expect(none.flat(2).every(Number.isFinite)).toBe(true);
  });

  test("every parameter has a gradient", async () => {
    const model = make();
    const params = louder(model.init(randomKey(5)));
    await expectGradients(params, (params, tokens) => model.apply(params, { tokens }, evaluation).logits);
  });

  test.each([
    ["recomputed", recomputing],
    ["shared", sharing()],
    ["reversible", reversing],
  ])("%s layers know the global tokens of the input", async (_, depth) => {
    const tokens = int([sequence(30)]);
    const told = await logitsOf(make({ depth, globals: [] }), { tokens, globals: int([marks(30, [0])]) });
    const made = await logitsOf(make({ depth, globals: [0] }), { tokens });
    const none = await logitsOf(make({ depth, globals: [] }), { tokens });
    expect(worst(told.flat(2), made.flat(2))).toBeLessThan(1e-4);
    expect(worst(none.flat(2), made.flat(2))).toBeGreaterThan(1e-2);
  });

  test("BERT knows them with Longformer's mixer, and says so without", async () => {
    const mixer = () => longformerAttention({ ...sizes, window: 4, globals: [], causal: false });
    const tokens = int([sequence(30)]);
    const globals = int([marks(30, [3])]);
    const own = bert({ ...sizes, length: 64, mixer }) as LanguageModel as LanguageModel<never>;
    const [a, b] = [await logitsOf(own, { tokens, globals }), await logitsOf(own, { tokens })];
    expect(worst(a.flat(2), b.flat(2))).toBeGreaterThan(1e-2);
    const plain = bert({ ...sizes, length: 64 }) as LanguageModel as LanguageModel<never>;
    await expect(logitsOf(plain, { tokens, globals })).rejects.toThrow("takes no global tokens");
  });

  test("learns hidden characters", async () => {
    const text = "the quick brown fox jumps over the lazy dog. ".repeat(60);
    const task = textTask({ text, tokenizer: characterTokenizer });
    const { vocabularySize } = task.views.masked;
    const model = longformer({ vocabularySize, layers: 1, modelWidth: 32, heads: 2, length: 32, windows: [4] });
    const losses: number[] = [];
    await train({
      objective: tokenObjective(model),
      task,
      view: task.views.masked,
      optimiser: adamw(),
      schedule: constantRate(3e-3),
      steps: 40,
      batchSize: 8,
      length: 32,
      device,
      onEvent: (event) => {
        if (event.kind === "step") losses.push(event.loss);
      },
    });
    expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
  });
});

/** That the gradient of a loss of some logits reaches every parameter. */
async function expectGradients(params: never, logits: (params: never, tokens: Tensor) => Tensor): Promise<void> {
  const run = (params: never, tokens: Tensor) => {
    const loss = (params: never) => {
      const y = logits(params, tokens);
      return sum(mul(square(y), add(y, 1)));
    };
    return valueAndGrad(loss)(params).gradient;
  };
  const { paths, leaves } = flatten(await evaluate(run, device, params, int([sequence(20)])), isNdArray);
  expect(paths.length).toBeGreaterThan(20);
  paths.forEach((path, i) => {
    // A softmax does not notice what all of its keys have in common.
    if (/\.(key|globalKey)\.bias$/.test(path)) return;
    expect(
      leaves[i]!.toNumbers().some((x) => Math.abs(x) > 1e-6),
      path,
    ).toBe(true);
  });
}

function logProbabilities(logits: readonly number[]): number[] {
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  return logits.map((x) => x - total);
}

describe("LED", () => {
  const model = led({ ...sizes, decoderLayers: 1, sourceLength: 128, targetLength: 32, windows: [4] });
  const params = louder(model.init(randomKey(5)));
  const run = async (source: Input, targets: readonly (readonly number[])[]): Promise<number[][][]> => {
    const pass = (params: never, source: never, tokens: Tensor) => {
      const encoded = model.encode(params, source, evaluation);
      return model.decode(params, { tokens, encoded }, evaluation).logits;
    };
    const found = await evaluate(pass, device, params, source as never, int(targets));
    const logits = (found as unknown as NDArray).toNumbers();
    const length = targets[0]!.length;
    const row = (b: number, t: number) => logits.slice((b * length + t) * V, (b * length + t + 1) * V);
    return targets.map((target, b) => target.map((_, t) => row(b, t)));
  };

  test("a target token never changes what comes before it; padding of the source changes nothing", async () => {
    const [source, target] = [sequence(21, 2), sequence(10)];
    const changed = target.with(6, 2 + ((target[6]! - 1) % (V - 2)));
    const globals = [0, 9];
    const padded = [...source, 0, 0, 0];
    const [a, b] = await run(
      {
        tokens: int([padded, padded]),
        mask: int([marks(24, [...source.keys()]), marks(24, [...source.keys()])]),
        globals: int([marks(24, [...globals, 22]), marks(24, globals)]),
      },
      [target, changed],
    );
    const [alone] = await run({ tokens: int([source]), globals: int([marks(21, globals)]) }, [target]);
    expect(worst(a!.flat(), alone!.flat())).toBeLessThan(2e-4);
    expect(b!.slice(0, 6)).toEqual(a!.slice(0, 6));
    expect(b!.slice(6)).not.toEqual(a!.slice(6));
  });

  test("a far token of the source is seen through the global ones alone", async () => {
    const source = sequence(60, 2);
    const other = source.with(50, 2 + ((source[50]! - 1) % (V - 2)));
    const memories = async (globals: readonly number[]) => {
      const pass = (params: never, tokens: Tensor, globals: Tensor) =>
        model.encode(params, { tokens, globals }, evaluation).memory;
      const told = int([marks(60, globals), marks(60, globals)]);
      const memory = (await evaluate(pass, device, params, int([source, other]), told)) as unknown as NDArray;
      return worst(memory.toNumbers().slice(0, 24), memory.toNumbers().slice(60 * 24, 61 * 24));
    };
    expect(await memories([])).toBeLessThan(1e-6);
    expect(await memories([7])).toBeGreaterThan(1e-4);
  });

  test("every parameter has a gradient", () =>
    expectGradients(params, (params, tokens) => {
      const encoded = model.encode(params, { tokens }, evaluation);
      return model.decode(params, { tokens, encoded }, evaluation).logits;
    }));

  test("decoding token by token equals one pass", async () => {
    const [source, target] = [sequence(21, 2), sequence(10)];
    const [whole] = await run({ tokens: int([source]) }, [target]);
    const opened = openSequenceDecoder(model, params, { device });
    const decoder = await opened.begin(source, { maxLength: 32 });
    for (const [t, token] of target.entries())
      expect(worst([...(await decoder.read([token]))], logProbabilities(whole![t]!)), `${t}`).toBeLessThan(2e-4);
    await decoder.release();
    await opened.release();
  });

  test("learns to write a row backwards", async () => {
    const task = reverseTask({ symbols: 3, length: 8 });
    const small = led({
      vocabularySize: task.vocabularySize,
      layers: 1,
      modelWidth: 32,
      heads: 2,
      sourceLength: 32,
      targetLength: 32,
      windows: [4],
    });
    const losses: number[] = [];
    await train({
      objective: sequenceToSequenceObjective(small),
      task,
      view: task.views.pairs,
      optimiser: adamw(),
      schedule: constantRate(3e-3),
      steps: 40,
      batchSize: 8,
      length: 8,
      device,
      onEvent: (event) => {
        if (event.kind === "step") losses.push(event.loss);
      },
    });
    expect(losses.at(-1)!).toBeLessThan(0.9 * losses[0]!);
  });
});
