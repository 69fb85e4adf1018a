import {
  evaluate,
  fromNumbers,
  full,
  keyToArray,
  type NDArray,
  ndarray,
  randomKey,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { axial, axialGrid } from "../../src/position/axial.ts";
import { learnedPerLayer } from "../../src/position/learned-per-layer.ts";
import { stepSignals } from "../../src/position/step-signals.ts";

const device = await openCpu();
afterAll(() => device.close());

const int = (values: readonly number[], shape: readonly number[]): NDArray => fromNumbers(values, shape, "int32");

describe("axial", () => {
  test("every cell of the grid has its own vector, and what lies beyond takes the last", async () => {
    const scheme = axial({ grid: [3, 5], widths: [2, 4] });
    const params = scheme.init(randomKey(1)) as unknown as { rows: NDArray; columns: NDArray };
    const [rows, columns] = [params.rows.toNumbers(), params.columns.toNumbers()];
    const at = [0, 4, 5, 14, 15, 99];
    const found = await evaluate(
      (p: never, at: Tensor) => scheme.apply(p, at),
      device,
      params as never,
      int(at, [2, 3]),
    );
    const expected = at.flatMap((position) => {
      const cell = Math.min(position, 14);
      const [row, column] = [Math.floor(cell / 5), cell % 5];
      return [...rows.slice(2 * row, 2 * row + 2), ...columns.slice(4 * column, 4 * column + 4)];
    });
    expect((found as unknown as NDArray).shape).toEqual([2, 3, 6]);
    expect((found as unknown as NDArray).toNumbers()).toEqual(expected);
  });

  test("dropout takes the vectors of whole rows and columns", async () => {
    const scheme = axial({ grid: [20, 30], widths: [1, 1], dropoutRate: 0.5, initial: (_, shape) => full(shape, 1) });
    const params = scheme.init(randomKey(1));
    const at = int(
      Array.from({ length: 600 }, (_, i) => i),
      [20, 30],
    );
    const run = (p: never, at: Tensor, key: Tensor) => [scheme.apply(p, at, { key }), scheme.apply(p, at)];
    const found = await evaluate(run, device, params as never, at, keyToArray(randomKey(3)));
    const [dropped, kept] = (found as unknown as NDArray[]).map((array) => array.toNumbers());
    expect(new Set(kept)).toEqual(new Set([1]));
    const of = (part: number, row: number, column: number) => dropped![(row * 30 + column) * 2 + part]!;
    for (let row = 0; row < 20; row++)
      for (let column = 0; column < 30; column++) expect(of(0, row, column)).toBe(of(0, row, 0));
    for (let row = 0; row < 20; row++)
      for (let column = 0; column < 30; column++) expect(of(1, row, column)).toBe(of(1, 0, column));
    expect(new Set(dropped)).toEqual(new Set([0, 2]));
  });

  test.each([1, 2, 63, 64, 65, 1000])("the grid for %i positions is nearly square and large enough", (length) => {
    const [rows, columns] = axialGrid(length);
    expect(rows * columns).toBeGreaterThanOrEqual(length);
    expect(rows * columns - length).toBeLessThan(columns);
    expect(columns - rows).toBeLessThanOrEqual(1);
  });
});

test("learned per layer: each layer adds the vectors of its own table", async () => {
  const scheme = learnedPerLayer(2, 6, 3);
  const params = scheme.init(randomKey(1)) as unknown as { weight: NDArray }[];
  for (const layer of [0, 1]) {
    const found = await evaluate(
      (p: never, at: Tensor) => scheme.apply(p, layer, at),
      device,
      params as never,
      int([4, 1, 77], [3]),
    );
    const table = params[layer]!.weight.toNumbers();
    const expected = [4, 1, 5].flatMap((row) => table.slice(3 * row, 3 * row + 3));
    expect((found as unknown as NDArray).toNumbers()).toEqual(expected);
  }
  expect(() => scheme.apply([], 2, undefined as never)).toThrow("made for 2 layers, got layer 2");
});

test("step signals: waves of the position and of the step, the first being 1", async () => {
  const scheme = stepSignals(4);
  const found = await evaluate((at: Tensor) => scheme.apply({}, 2, at), device, int([0, 7], [2]));
  const wave = (at: number) => [Math.sin(at), Math.cos(at), Math.sin(at / 100), Math.cos(at / 100)];
  const expected = [0, 7].flatMap((at) => wave(at).map((x, i) => x + wave(3)[i]!));
  (found as unknown as NDArray).toNumbers().forEach((x, i) => {
    expect(x).toBeCloseTo(expected[i]!, 5);
  });
});

test("a model adds them to the input of every layer, not of the first alone", async () => {
  const sizes = { vocabularySize: 5, layers: 2, modelWidth: 8, heads: 2, length: 4 };
  const layerPositions = learnedPerLayer(2, 4, 8);
  const model = gpt({ ...sizes, scheme: { layerPositions } });
  const params = model.init(randomKey(2)) as unknown as { layerPositions: { weight: NDArray }[] };
  const run = async (layerPositions: readonly { weight: NDArray }[]) => {
    const pass = (p: never, tokens: Tensor) => model.apply(p, { tokens }, evaluation).logits;
    const logits = await evaluate(pass, device, { ...params, layerPositions } as never, int([1, 2, 3], [1, 3]));
    return (logits as unknown as NDArray).toNumbers();
  };
  const louder = ({ weight }: { weight: NDArray }) => ({
    weight: ndarray(
      weight.toNumbers().map((x) => 50 * x),
      weight.shape,
    ),
  });
  const [first, second] = params.layerPositions as [{ weight: NDArray }, { weight: NDArray }];
  const usual = await run([first, second]);
  expect(await run([louder(first), second])).not.toEqual(usual);
  expect(await run([first, louder(second)])).not.toEqual(usual);
});
