import { evaluate, fromNumbers, isNdArray, mapTree, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { tDmca, tDmcaParts } from "../../src/models/decoders/t-dmca.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { vocabularySize: 11, modelWidth: 12, heads: 2, block: 4 };
const row = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2];

async function logitsOf(layers: number, tokens: number[]): Promise<number[][]> {
  const model = tDmca({ ...sizes, layers });
  const params = mapTree(model.init(randomKey(1)), isNdArray, louder);
  const run = (params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
  const given = fromNumbers(tokens, [1, tokens.length], "int32");
  const all = ((await evaluate(run as never, device, params as never, given as never)) as never as NDArray).toNumbers();
  return tokens.map((_, t) => all.slice(t * 11, (t + 1) * 11));
}

/** Where outputs change with the token at a position. */
async function reached(layers: number, at: number): Promise<number[]> {
  const other = row.map((token, t) => (t === at ? (token % 10) + 1 : token));
  const [a, b] = [await logitsOf(layers, row), await logitsOf(layers, other)];
  return row.flatMap((_, t) => (a[t]!.some((value, i) => Math.abs(value - b[t]![i]!) > 1e-4) ? [t] : []));
}

test("layers alternate: local attention stays in its block, compressed attention looks back from the end of each three", async () => {
  expect(tDmcaParts({ ...sizes, layers: 5 }).depth.layers.map(({ mixer }) => mixer.name)).toEqual([
    "softmax attention",
    "memory-compressed",
    "softmax attention",
    "memory-compressed",
    "softmax attention",
  ]);
  expect(await reached(1, 1)).toEqual([1, 2, 3]);
  // After one local layer what stands at 5 is at 5, 6 and 7, in the threes that end with 5 and 8.
  expect(await reached(2, 5)).toEqual([5, 6, 7, 8, 9, 10, 11]);
  expect(await reached(1, 5)).toEqual([5, 6, 7]);
});

test("sizes that cannot be are refused", () => {
  expect(() => tDmca({ ...sizes, layers: 5, block: 0 })).toThrow(
    "t-dmca: block must be a whole number of at least 1, got 0",
  );
  expect(() => tDmca({ ...sizes, layers: 5, factor: 1.5 })).toThrow(
    "t-dmca: factor must be a whole number of at least",
  );
});
