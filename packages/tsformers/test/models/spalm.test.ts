import { compile, NDArray, randomKey, readTree, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { type SpalmParams, spalm } from "../../src/models/decoders/spalm.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";

const device = await openCpu();
afterAll(() => device.close());

const [V, C, T, k] = [7, 8, 5, 3];
const options = { vocabularySize: V, layers: 1, modelWidth: C, heads: 2, memoryLength: 4 };
const model = spalm(options);
const params = model.init(randomKey(2));
const tokens = new NDArray([1, T], "int32", Int32Array.of(1, 2, 3, 4, 5));
const neighbours = new NDArray(
  [1, T, k],
  "int32",
  Int32Array.from({ length: T * k }, (_, i) => (i * 5) % V),
);

async function run(
  of: LanguageModel<never>,
  own: unknown,
  given: NDArray | undefined,
): Promise<Record<"x" | "logits", number[]>> {
  const pass = compile(
    (params: unknown, tokens: Tensor, neighbours: Tensor | null) => {
      const read = neighbours === null ? {} : { neighbours };
      const { x, logits } = of.apply(params as never, { tokens, ...read }, evaluation);
      return { x, logits };
    },
    { device },
  ) as unknown as (...args: unknown[]) => Promise<never>;
  const { x, logits } = (await readTree(await pass(own, tokens, given ?? null))) as Record<"x" | "logits", NDArray>;
  return { x: x.toNumbers(), logits: logits.toNumbers() };
}

test("without neighbours it is a Transformer-XL", async () => {
  const { gate: _, ...rest } = params;
  expect(await run(model as never, params, undefined)).toEqual(
    await run(transformerXl(options) as never, rest, undefined),
  );
});

test("with neighbours it is the definition, position by position", async () => {
  const { x: h } = await run(model as never, params, undefined);
  const found = await run(model as never, params, neighbours);
  const { tokens: table, gate, head } = params as unknown as Record<string, never> & SpalmParams;
  const W = ((table as unknown as { weight: NDArray }).weight as NDArray).toNumbers();
  const w = (gate as unknown as NDArray).toNumbers();
  const bias = (head as { bias: NDArray }).bias.toNumbers();
  const row = (values: readonly number[], i: number) => values.slice(i * C, (i + 1) * C);
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, c) => sum + x * b[c]!, 0);
  for (let t = 0; t < T; t++) {
    const own = row(h, t);
    const y = Array.from({ length: k }, (_, i) => row(W, neighbours.data[t * k + i] as number));
    const weights = y.map((one) => Math.exp(dot(one, own)));
    const total = weights.reduce((a, b) => a + b);
    const g = 1 / (1 + Math.exp(-dot(w, own)));
    const z = own.map((x, c) => (1 - g) * y.reduce((m, one, i) => m + (weights[i]! / total) * one[c]!, 0) + g * x);
    z.forEach((value, c) => {
      expect(found.x[t * C + c]).toBeCloseTo(value, 5);
    });
    for (let v = 0; v < V; v++) expect(found.logits[t * V + v]).toBeCloseTo(dot(z, row(W, v)) + bias[v]!, 5);
  }
});

test.each([
  [new NDArray([1, T], "int32", new Int32Array(T)), "expected neighbours as int32 [1, 5, k], got int32 [1, 5]"],
  [new NDArray([1, 4, k], "int32", new Int32Array(4 * k)), "got int32 [1, 4, 3]"],
  [new NDArray([1, T, k], "float32", new Float32Array(T * k)), "got float32 [1, 5, 3]"],
])("neighbours of another form are refused", async (given, words) => {
  await expect(run(model as never, params, given)).rejects.toThrow(words);
});

test("other models refuse neighbours", async () => {
  const other = transformerXl(options);
  await expect(run(other as never, other.init(randomKey(1)), neighbours)).rejects.toThrow("reads no neighbours");
});
