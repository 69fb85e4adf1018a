import {
  type Concrete,
  evaluate,
  fromNumbers,
  grad,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { type AlbertOptions, type AlbertParams, albert } from "../../src/models/encoders/albert.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";
import { built } from "../io/families.ts";
import { expectSameTrees, numbersByPath, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, E, length] = [13, 16, 6, 12];
const sizes: AlbertOptions = {
  vocabularySize: V,
  layers: 4,
  modelWidth: C,
  heads: 2,
  length,
  embeddingWidth: E,
  ffnWidth: 24,
};

function prepare(more: Partial<AlbertOptions> = {}) {
  const model = albert({ ...sizes, ...more });
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array, path) =>
    louder(array, path),
  ) as Concrete<AlbertParams>;
  const pass = (params: AlbertParams, tokens: Tensor, mask?: Tensor, types?: Tensor) => {
    const given = { tokens, ...(mask === undefined ? {} : { mask }), ...(types === undefined ? {} : { types }) };
    const { logits, hidden } = model.apply(params, given, evaluation);
    return { logits, hidden };
  };
  const rows = (values: number[][] | undefined) =>
    values && fromNumbers(values.flat(), [values.length, values[0]!.length], "int32");
  const run = (tokens: number[][], mask?: number[][], types?: number[][]) =>
    evaluate(pass, device, params as never, rows(tokens) as never, rows(mask) as never, rows(types) as never);
  return { model, params, pass, run };
}

const tokensOf = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => (i * i * 3 + seed * i) % V);

test("layers of a group share one block, and embeddings are narrow", () => {
  const block = 4 * (C * C + C) + (2 * C * 24 + 24 + C) + 4 * C;
  const embedding = (V + length + 2 + 2) * E + (E + 1) * C;
  const head = (C + 1) * E + 2 * E + V;
  expect(sizeOf(prepare().params)).toBe(embedding + block + head);
  expect(sizeOf(prepare({ groups: 2 }).params)).toBe(embedding + 2 * block + head);
  expect(sizeOf(prepare({ layers: 9, groups: 9 }).params)).toBe(embedding + 9 * block + head);
});

test("ALBERT-base has as many as transformers counts", () => {
  const { names } = built("albert", { hidden_size: 768, num_attention_heads: 12, intermediate_size: 3072 });
  const count = names.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
  expect(count).toBe(11_221_680);
});

test("with a block for each layer it is the same as with one that is repeated", async () => {
  const { params, run } = prepare();
  const four = prepare({ groups: 4 });
  const block = params.blocks[0];
  const repeated = { ...params, blocks: [block, block, block, block] };
  const tokens = fromNumbers(tokensOf(length), [1, length], "int32");
  const found = await evaluate(four.pass, device, repeated as never, tokens as never, undefined, undefined);
  expectSameTrees(found, await run([tokensOf(length)]), 1e-6);
  expect(found.hidden).toHaveLength(5);
});

test("padding and other rows change nothing; segments and both sides do", async () => {
  const { run } = prepare();
  const tokens = tokensOf(8);
  const mask = [...tokens.map(() => 1), 0, 0, 0];
  const [a, b] = [
    await run([[...tokens, 1, 2, 3], tokensOf(11, 4)], [mask, mask]),
    await run([[...tokens, 7, 7, 7], tokensOf(11, 6)], [mask, mask]),
  ];
  const row = ({ logits }: { logits: NDArray }, from = 0, to = 8) =>
    fromNumbers(logits.toNumbers().slice(from * V, to * V), [to - from, V]);
  expectSameTrees(row(b), row(a));
  expectSameTrees(row(await run([tokens])), row(a));
  const types = await run([tokens], undefined, [[0, 0, 0, 0, 1, 1, 1, 1]]);
  expect(row(types, 0, 1).toNumbers()).not.toEqual(row(a, 0, 1).toNumbers());
  const later = await run([tokens.with(7, (tokens[7]! + 1) % V)]);
  expect(row(later, 0, 1).toNumbers()).not.toEqual(row(a, 0, 1).toNumbers());
});

test("everything learns, but for biases of keys and what stands for padding", async () => {
  const gradients = async (more: Partial<AlbertOptions>) => {
    const { params, pass } = prepare(more);
    const tokens = fromNumbers(tokensOf(length), [1, length], "int32");
    const types = fromNumbers(
      tokensOf(length).map((token) => token % 2),
      [1, length],
      "int32",
    );
    const weights = normal(randomKey(8), [1, length, V]);
    const loss = (params: AlbertParams, tokens: Tensor, types: Tensor, weights: Tensor) =>
      grad((params: AlbertParams) => sum(mul(pass(params, tokens, undefined, types).logits, weights)))(params);
    return numbersByPath(
      await evaluate(loss, device, params as never, tokens as never, types as never, weights as never),
    );
  };
  const found = await gradients({ groups: 2 });
  for (const [path, values] of Object.entries(found)) {
    expect(values.every(Number.isFinite), path).toBe(true);
    if (!path.endsWith("key.bias"))
      expect(
        values.some((value) => value !== 0),
        path,
      ).toBe(true);
  }
  // The tied output teaches the padding's vector all the same.
  const padded = await gradients({ groups: 2, padding: 0 });
  expect(padded["tokens.weight"]!.slice(0, E)).not.toEqual(found["tokens.weight"]!.slice(0, E));
  expect(padded["tokens.weight"]!.slice(0, E).some((value) => value !== 0)).toBe(true);
});

test("it learns one batch by heart", async () => {
  const text = "the quick brown fox jumps over the lazy dog. ".repeat(60);
  const task = textTask({ text, tokenizer: characterTokenizer, length });
  const { masked } = task.views;
  const model = albert({
    ...sizes,
    vocabularySize: masked.vocabularySize,
    modelWidth: 32,
    embeddingWidth: 16,
    layers: 2,
  });
  const losses: number[] = [];
  await train({
    objective: tokenObjective(model) as never,
    task,
    view: { ...masked, trainBatch: () => masked.trainBatch(1, 16, length) },
    optimiser: adamw(),
    schedule: constantRate(1e-2),
    steps: 60,
    batchSize: 16,
    length,
    device,
    onEvent: (event) => event.kind === "step" && losses.push(event.loss),
  });
  expect(losses[0]).toBeGreaterThan(3);
  expect(losses.at(-1)).toBeLessThan(0.5);
});
