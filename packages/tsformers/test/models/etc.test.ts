import {
  add,
  compile,
  constant,
  fromNumbers,
  gather,
  isNdArray,
  mapTree,
  matmul,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  reshape,
  softmax,
  type Tensor,
  takeAlongAxis,
  transpose,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { type EtcAttentionParams, etcAttention } from "../../src/attention/etc/etc-attention.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { evaluation } from "../../src/kinds/layer.ts";
import { etc } from "../../src/models/encoders/etc.ts";
import type { TokensInput } from "../../src/models/language-model.ts";
import type { SummaryOutput } from "../../src/models/summaries.ts";
import { louder } from "../attention/mixer-cases.ts";
import { expectSame, noisy } from "../attention/outputs-and-gradients.ts";

const device = await openCpu();
afterAll(() => device.close());

const ints = (rows: readonly (readonly number[])[]) =>
  fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");

describe("attention over segments that differ from row to row", () => {
  const [B, G, L, C, H] = [2, 3, 9, 8, 2];
  const [D, T] = [C / H, G + L];
  const [radius, k] = [2, 2];
  const segments = [
    [0, 0, 0, 1, 1, 1, 1, 2, 2],
    [0, 1, 1, 2, 2, 2, 2, 2, 2],
  ];
  const real = [
    [1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 1, 1, 1, 0, 0],
  ].map((row) => [1, 1, 1, ...row]);

  /** Whether i sees j, and how their pair is labelled, as the paper tells it. */
  function pair(row: number, i: number, j: number, hard: boolean): { seen: boolean; label: number } {
    const near = j - i === 0 ? 0 : j > i ? Math.min(j - i, k) : k + Math.min(i - j, k);
    const [global, long] = [Math.min(i, j), Math.max(i, j) - G];
    const isOwn = segments[row]![long] === global;
    if (i < G && j < G) return { seen: true, label: near };
    if (i >= G && j >= G) return { seen: Math.abs(i - j) <= radius, label: near };
    if (i >= G) return { seen: true, label: isOwn ? 2 * k + 1 : 2 * k + 2 };
    return { seen: !hard || isOwn, label: isOwn ? 2 * k + 1 : 2 * k + 3 };
  }

  function plain(params: EtcAttentionParams, x: Tensor, hard: boolean): Tensor {
    const all = Array.from({ length: B * T * T }, (_, at) => {
      const [row, i, j] = [Math.floor(at / (T * T)), Math.floor(at / T) % T, at % T];
      const { seen, label } = pair(row, i, j, hard);
      return { hidden: seen && real[row]![j] === 1 ? 0 : -1e30, label };
    });
    const table = (values: number[], dtype: "float32" | "int32") => constant(fromNumbers(values, [B, 1, T, T], dtype));
    const hidden = table(all.map(({ hidden }) => hidden), "float32"); // biome-ignore format: short
    const ids = table(all.map(({ label }) => label), "int32"); // biome-ignore format: short
    const split = (of: Tensor) => transpose(reshape(of, [B, T, H, D]), [0, 2, 1, 3]);
    const [q, key, v] = [params.query, params.key, params.value].map(({ weight, bias }) =>
      split(add(matmul(x, weight), bias!)),
    ) as [Tensor, Tensor, Tensor];
    const { vectors, biases } = params.labels!;
    const ofLabels = add(
      matmul(q, transpose(vectors, [1, 2, 0])),
      reshape(transpose(biases, [1, 0]), [1, H, 1, 2 * k + 4]),
    );
    const each = Array.from({ length: H }, (_, h) => gather(ofLabels, constant(fromNumbers([h], [1], "int32")), 1));
    const added = each.map((one) => takeAlongAxis(one, ids));
    const logits = add(matmul(q, transpose(key, [0, 1, 3, 2])), joined(added));
    const mixed = matmul(softmax(add(mul(logits, D ** -0.5), hidden)), v);
    const out = reshape(transpose(mixed, [0, 2, 1, 3]), [B, T, C]);
    return add(matmul(out, params.out.weight), params.out.bias!);
  }

  /** Heads side by side: [B, 1, T, T] each → [B, H, T, T]. */
  function joined(heads: Tensor[]): Tensor {
    return heads
      .map((head, h) =>
        mul(
          head,
          constant(
            fromNumbers(
              Array.from({ length: H }, (_, i) => (i === h ? 1 : 0)),
              [1, H, 1, 1],
            ),
          ),
        ),
      )
      .reduce((sum, head) => add(sum, head));
  }

  test.each([true, false])("is what the definition says, outputs and gradients (hard: %s)", async (hard) => {
    const sizes = { modelWidth: C, heads: H, globals: G, radius, furthestLabel: k, hard };
    const fast = (params: EtcAttentionParams, x: Tensor) => {
      const view = makeView({
        pattern: fullPattern,
        queries: T,
        keys: T,
        keyMask: constant(fromNumbers(real.flat(), [B, T])),
      });
      const mixer = etcAttention({ ...sizes, segments: constant(ints(segments)) });
      return mixer.apply(params, { x, view }, evaluation).y;
    };
    const params = noisy(etcAttention(sizes).init(randomKey(1)));
    await expectSame(fast, (params, x) => plain(params, x, hard), params, normal(randomKey(2), [B, T, C]), device);
  });
});

const sizes = { vocabularySize: 11, layers: 1, modelWidth: 12, heads: 2, globals: 3, radius: 1, furthestLabel: 2 };
const separator = 10;
const tokens = [
  [1, 2, 10, 3, 4, 5, 10, 6, 7],
  [8, 10, 1, 10, 2, 10, 3, 10, 4],
];
const told = [
  [0, 0, 0, 1, 1, 1, 1, 2, 2],
  [0, 0, 1, 1, 2, 2, 2, 2, 2],
];

async function summaries(
  options: Parameters<typeof etc>[0],
  input: { readonly [Name in keyof TokensInput]?: NDArray },
): Promise<{ x: number[]; summaries: number[]; segments: number[]; summaryMask: number[] }> {
  const model = etc(options);
  const params = mapTree(model.init(randomKey(3)), isNdArray, louder);
  const pass = (params: never, input: never) => {
    const { x, summaries, segments, summaryMask } = model.summarise(params, input, evaluation) as SummaryOutput;
    return { x, summaries, segments, summaryMask };
  };
  const compiled = compile(pass, { device });
  const found = (await readTree(await compiled(params as never, input as never))) as unknown as Record<string, NDArray>;
  await compiled.release();
  return Object.fromEntries(Object.entries(found).map(([name, of]) => [name, of.toNumbers()])) as never;
}

const changed = (a: readonly number[], b: readonly number[], globals = 3) =>
  Array.from({ length: a.length / 12 }, (_, g) => g)
    .filter((g) => a.slice(g * 12, g * 12 + 12).some((value, c) => Math.abs(value - b[g * 12 + c]!) > 1e-4))
    .map((g) => [Math.floor(g / globals), g % globals]);

test("segments end with a separator, or are told; those beyond the global tokens share the last", async () => {
  const bySeparator = await summaries({ ...sizes, separator }, { tokens: ints(tokens) });
  expect(bySeparator.segments).toEqual(told.flat());
  const byTypes = await summaries(sizes, { tokens: ints(tokens), types: ints(told) });
  expect(byTypes).toEqual(bySeparator);
  const stretches = await summaries(sizes, { tokens: ints(tokens) });
  expect(stretches.segments.slice(0, 9)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2]);
  expect(changed(stretches.summaries, byTypes.summaries)).not.toEqual([]);
});

test("under the hard mask a global token knows of the tokens of its own segment only; without it, of all", async () => {
  const other = tokens.map((row, b) => (b === 0 ? row.map((token, t) => (t === 4 ? 9 : token)) : row));
  const read = async (hard: boolean, of: number[][]) =>
    (await summaries({ ...sizes, separator, hard }, { tokens: ints(of) })).summaries;
  expect(changed(await read(true, tokens), await read(true, other))).toEqual([[0, 1]]);
  expect(changed(await read(false, tokens), await read(false, other))).toEqual([[0, 0], [0, 1], [0, 2]]); // biome-ignore format: short
});

test("padding, and global tokens of segments that a row does not have, change nothing", async () => {
  const options = { ...sizes, layers: 2, separator };
  const short = await summaries(options, { tokens: ints([tokens[0]!.slice(0, 7)]) });
  const padded = await summaries(options, {
    tokens: ints([[...tokens[0]!.slice(0, 7), 0, 0]]),
    mask: ints([[1, 1, 1, 1, 1, 1, 1, 0, 0]]),
  });
  expect(padded.summaryMask).toEqual([1, 1, 0]);
  expect(changed(short.x, padded.x.slice(0, short.x.length), 7)).toEqual([]);
});

describe("bad inputs", () => {
  test.each([
    ["a separator that is no token", { separator: 11 }, "etc: separator must be a token, 0 … 10, got 11"],
    ["no global token", { globals: 0 }, /^etc: globals must be a whole number of at least 1, got 0$/],
  ])("%s", (_, more, message) => {
    expect(() => etc({ ...sizes, ...more })).toThrow(message);
  });

  const row = ints(tokens);
  test.each([
    [
      "global tokens of the input",
      { tokens: row, globals: row },
      "etc: has a global token for each segment; tell segments",
    ],
    [
      "vectors, which have no separators",
      { vectors: normal(randomKey(1), [2, 9, 12]) },
      "expected `types`, the segment of",
    ],
  ])("%s", async (_, input, message) => {
    await expect(summaries({ ...sizes, separator }, input as never)).rejects.toThrow(message);
  });
});
