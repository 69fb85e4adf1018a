import {
  add,
  type Concrete,
  evaluate,
  fromNumbers,
  grad,
  isNdArray,
  keyToArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { earlierInChunks } from "../../src/attention/lsh/lsh-reach.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { openDecoder } from "../../src/generate/decoder.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import type { DecoderParams } from "../../src/models/decoder.ts";
import { type ReformerOptions, reformer } from "../../src/models/decoders/reformer.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";
import { louder } from "../attention/mixer-cases.ts";
import { built } from "../io/families.ts";
import { expectSameTrees, numbersByPath, sizeOf } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, length] = [13, 16, 30];
const sizes = { vocabularySize: V, layers: 4, modelWidth: C, heads: 2, length, ffnWidth: 24 };
const small: ReformerOptions = { ...sizes, localChunk: 4, lsh: { chunk: 4, buckets: 4, rounds: 3 } };

function prepare(options: ReformerOptions) {
  const model = reformer(options);
  const params = mapTree(model.init(randomKey(2)), isNdArray, (array, path) =>
    louder(array, path),
  ) as Concrete<DecoderParams>;
  const run = async (tokens: number[][], mask?: number[][]): Promise<number[][][]> => {
    const arrayOf = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
    const pass = (params: DecoderParams, tokens: Tensor, mask?: Tensor) =>
      model.apply(params, { tokens, ...(mask === undefined ? {} : { mask }) }, evaluation).logits;
    const logits = (await evaluate(pass, device, params as never, arrayOf(tokens), mask && arrayOf(mask))) as NDArray;
    const all = logits.toNumbers();
    return tokens.map((row, b) => row.map((_, t) => all.slice((b * row.length + t) * V, (b * row.length + t + 1) * V)));
  };
  return { model, params, run };
}

const tokensOf = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => (i * i * 3 + seed * i) % V);

function expectClose(found: readonly number[][], expected: readonly number[][], tolerance = 1e-4): void {
  expect(found).toHaveLength(expected.length);
  const worst = Math.max(...found.flatMap((row, t) => row.map((x, v) => Math.abs(x - expected[t]![v]!))));
  expect(worst).toBeLessThan(tolerance);
}

const causal: readonly (readonly [string, ReformerOptions])[] = [
  ["local and LSH attention in turn", small],
  ["chunks as long as the text", { ...small, localChunk: 64, lsh: { chunk: 64, buckets: 2, rounds: 1 } }],
  ["as it is without options", { ...sizes, layers: 2 }],
];

describe.each(causal)("causal: %s", (_, options) => {
  test("token by token equals one pass", async () => {
    const { model, params, run } = prepare(options);
    const tokens = tokensOf(length);
    const [whole] = await run([tokens]);
    const decoder = openDecoder(model, params, { device, maxLength: length });
    const found: number[][] = [];
    for (const token of tokens) found.push([...(await decoder.read([token]))]);
    expectClose(found, whole!);
    await decoder.release();
  });

  test("a later token changes nothing before it, nor does another row", async () => {
    const { run } = prepare(options);
    const [a, b] = [tokensOf(length), tokensOf(length, 5)];
    const before = await run([a, b]);
    const after = await run([b.with(3, 0), a.with(17, (a[17]! + 1) % V)]);
    expectClose(after[1]!.slice(0, 17), before[0]!.slice(0, 17), 1e-6);
    expect(after[1]![17]).not.toEqual(before[0]![17]);
  });

  test("padding changes nothing", async () => {
    const { run } = prepare(options);
    const tokens = tokensOf(20);
    const mask = [...tokens.map(() => 1), 0, 0, 0, 0, 0];
    const [alone] = await run([tokens]);
    const [padded] = await run([[...tokens, 1, 2, 3, 4, 5]], [mask]);
    expectClose(padded!.slice(0, 20), alone!);
  });
});

test("an encoder sees both sides, and no padding and no other row", async () => {
  const { model, run } = prepare({ ...small, causal: false });
  expect(model.causal).toBe(false);
  const tokens = tokensOf(20);
  const [before, after] = [await run([tokens]), await run([tokens.with(19, (tokens[19]! + 1) % V)])];
  expect(after[0]![0]).not.toEqual(before[0]![0]);
  const mask = Array.from({ length: 24 }, (_, t) => (t < 20 ? 1 : 0));
  const padded = (padding: number[], other: number[]) => run([[...tokens, ...padding], other], [mask, mask]);
  const [a, b] = [await padded([1, 2, 3, 4], tokensOf(24, 2)), await padded([9, 9, 9, 9], tokensOf(24, 7))];
  expectClose(b[0]!.slice(0, 20), a[0]!.slice(0, 20));
});

describe("how it is computed does not change what it is", () => {
  const gradients = async (options: ReformerOptions, key?: NDArray) => {
    const { model, params } = prepare(options);
    const tokens = fromNumbers([...tokensOf(length), ...tokensOf(length, 4)], [2, length], "int32");
    const weights = normal(randomKey(8), [2, length, V]);
    const both = (params: DecoderParams, tokens: Tensor, weights: Tensor, key?: Tensor) => {
      const loss = (params: DecoderParams) => {
        const { logits, losses } = model.apply(params, { tokens }, key === undefined ? {} : { key });
        return Object.values(losses).reduce((total, loss) => add(total, loss), sum(mul(logits, weights)));
      };
      return grad(loss)(params);
    };
    return evaluate(both, device, params as never, tokens as never, weights as never, key as never);
  };

  test("streams may be kept, and feed-forward networks applied in chunks", async () => {
    const undone = await gradients(small);
    // What is undone comes back up to rounding.
    expectSameTrees(await gradients({ ...small, keepsStreams: true }), undone, 1e-3);
    expectSameTrees(await gradients({ ...small, ffnChunk: 7 }), undone, 1e-3);
  });

  test("in training, with rotations and dropout of the pass, everything learns", async () => {
    const found = numbersByPath(await gradients({ ...small, dropoutRate: 0.1 }, keyToArray(randomKey(3))));
    for (const [path, values] of Object.entries(found)) {
      expect(values.every(Number.isFinite), path).toBe(true);
      expect(
        values.some((value) => value !== 0),
        path,
      ).toBe(true);
    }
  });
});

test("it learns to copy", async () => {
  const task = copyTask({ symbols: 3, length: 8 });
  const model = reformer({ ...small, vocabularySize: task.vocabularySize, layers: 2, modelWidth: 32, length: 8 });
  const losses: number[] = [];
  await train({
    objective: tokenObjective(model) as never,
    task,
    view: task.views.next,
    optimiser: adamw(),
    schedule: constantRate(5e-3),
    steps: 60,
    batchSize: 16,
    length: 8,
    device,
    onEvent: (event) => event.kind === "step" && losses.push(event.loss),
  });
  expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
});

describe("parameters", () => {
  test("are those of its parts; LSH layers have one projection for queries and keys", () => {
    const { params } = prepare(small);
    const network = 2 * C * 24 + 24 + C;
    const [local, lsh] = [4 * C * C + network + 4 * C, 3 * C * C + network + 4 * C];
    // A grid of 5 rows and 6 columns, half of the features each; the last norm and the output are twice as wide.
    const outside = V * C + (5 + 6) * (C / 2) + 4 * C + 2 * C * V;
    expect(sizeOf(params)).toBe(outside + 2 * (local + lsh));
  });

  test("layers take what `attention` names, in turn; the first streams and matrices begin as published", () => {
    const attention = ["lsh", "lsh", "local"] as const;
    const { model } = prepare({ ...small, modelWidth: 64, layers: 4, attention });
    const params = model.init(randomKey(3)) as Concrete<DecoderParams>;
    const byPath = numbersByPath(params);
    const shared = Object.keys(byPath).filter((path) => path.includes("queryKey"));
    expect(shared.map((path) => /\d/.exec(path)![0])).toEqual(["0", "1", "3"]);
    const spread = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(spread(byPath["tokens.weight"]!)).toBeCloseTo(1, 1);
    expect(spread(byPath["positions.rows"]!)).toBeCloseTo(1, 0);
    // Uniform up to √(6 / (64 + 64)).
    expect(Math.max(...byPath["blocks.0.mixer.value.weight"]!)).toBeCloseTo(0.2165, 2);
  });

  test("the published model for enwik8 has as many as transformers counts, but for a bias that it does not add", () => {
    const local = ["local", "local", "lsh", "local"];
    const { names } = built("reformer", {
      vocab_size: 258,
      hidden_size: 1024,
      num_attention_heads: 8,
      attention_head_size: 128,
      attn_layers: [...local, ...local, ...local],
      feed_forward_size: 4096,
      is_decoder: true,
      axial_pos_shape: [128, 512],
      axial_pos_embds_dim: [256, 768],
      max_position_embeddings: 65_536,
    });
    const count = names.reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).toBe(149_182_722 - 258);
  });
});

describe("the published reach", () => {
  const options: ReformerOptions = { ...small, lsh: { ...small.lsh, reach: earlierInChunks } };

  test("is refused where no later token may have a say, and taken from checkpoints", async () => {
    expect(() => reformer(options)).toThrow(/reformer: .*the mixer of layer 1, is not causal as it was made/);
    const { model, category } = built("reformer", {
      vocab_size: V,
      hidden_size: C,
      num_attention_heads: 2,
      attention_head_size: 8,
      attn_layers: ["local", "lsh"],
      feed_forward_size: 24,
      is_decoder: true,
      axial_pos_shape: [5, 6],
      axial_pos_embds_dim: [8, 8],
      max_position_embeddings: length,
      lsh_attn_chunk_length: 4,
      local_attn_chunk_length: 4,
      num_buckets: 4,
    });
    expect(category).toBe("decoder");
    const decoder = model as ReturnType<typeof reformer>;
    const params = decoder.init(randomKey(1));
    // Chunks are sorted by bucket, so that later tokens move earlier ones; no token sees a later one's values.
    const pass = (params: DecoderParams, tokens: Tensor) => decoder.apply(params, { tokens }, evaluation).logits;
    const tokens = fromNumbers(tokensOf(length), [1, length], "int32");
    const logits = await evaluate(pass, device, params as never, tokens as never);
    expect(logits.toNumbers().every(Number.isFinite)).toBe(true);
  });
});

test("any mixer that looks back may take the place of attention", async () => {
  const linear = mixers.linear.make({}, { modelWidth: C, heads: 2, length, causal: true });
  const { model, params, run } = prepare({ ...small, layers: 2, mixer: () => linear });
  const tokens = tokensOf(12);
  const [whole] = await run([tokens]);
  const decoder = openDecoder(model, params, { device, maxLength: length });
  expectClose([[...(await decoder.read(tokens))]], [whole!.at(-1)!]);
  await decoder.release();
  const later = mixers.linear.make({}, { modelWidth: C, heads: 2, length, causal: false });
  expect(() => reformer({ ...small, mixer: () => later })).toThrow("is not causal as it was made");
  expect(() => reformer({ ...small, mixer: () => Promise.resolve(linear) as never })).toThrow(
    "got a promise; await it",
  );
});

test("layers without attention are refused in one line", () => {
  expect(() => reformer({ ...small, attention: [] })).toThrow(
    "expected local or lsh attention for the layers, got none",
  );
});

test("positions end with the grid", () => {
  expect(reformer(small).maxLength).toBe(30);
  // No two factors of 23: the grid has a few more cells.
  expect(reformer({ ...small, length: 23 }).maxLength).toBe(25);
  expect(() => reformer({ ...small, length: 0 })).toThrow(/reformer: .*length/);
});
