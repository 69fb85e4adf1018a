import { add, evaluate, iota, isNdArray, mapTree, NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { makeView } from "../../src/attention/core/view.ts";
import { fullPattern } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { positions } from "../../src/catalogue/positions.ts";
import type { PositionScheme } from "../../src/kinds/index.ts";
import type { PositionEntry } from "../../src/position/index.ts";
import { arrayOf, inputs, rowsOf, sizes } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const length = 24;
const context = { ...sizes, layers: 1, length, causal: false };
const mixer = attention(sizes);
const louder = (array: NDArray): NDArray =>
  new NDArray(
    array.shape,
    "float32",
    Float32Array.from(array.data as Float32Array, (x) => 20 * x),
  );
const params = mapTree(mixer.init(randomKey(5)), isNdArray, louder) as never;

/** Softmax attention over all positions, told of them by a scheme: rows of T outputs. */
async function outputs(scheme: PositionScheme, rows: number[][]): Promise<number[][]> {
  const { positions, layerPositions, scores, rotation } = scheme;
  const own = {
    positions: positions?.init(randomKey(1)) ?? {},
    layerPositions: layerPositions?.init(randomKey(2)) ?? {},
    scores: scores?.init(randomKey(3)) ?? {},
  };
  const loud = mapTree(own, isNdArray, louder) as typeof own;
  const run = (params: never, own: Record<string, never>, x: Tensor) => {
    const at = iota(length);
    const placed = positions === undefined ? x : add(x, positions.apply(own.positions, at));
    const layered =
      layerPositions === undefined ? placed : add(placed, layerPositions.apply(own.layerPositions, 0, at));
    const layer = scores?.forLayer?.(own.scores, 0, { queries: length, keys: length }) ?? own.scores;
    const view = makeView({
      pattern: fullPattern,
      queries: length,
      keys: length,
      ...(rotation === undefined ? {} : { rotation }),
      ...(scores === undefined ? {} : { scores: (where) => scores.prepare(layer, where) }),
    });
    return mixer.apply(params, { x: layered, view }, {}).y;
  };
  return rowsOf((await evaluate(run, device, params, loud as never, arrayOf([rows]))) as unknown as NDArray)[0]!;
}

const farthest = (a: number[][], b: number[][]): number =>
  Math.max(...a.flatMap((row, t) => row.map((x, i) => Math.abs(x - b[t]![i]!))));

const rows = rowsOf(inputs(length))[0]!;
/** How much it matters in which order the same rows stand. */
async function difference(scheme: PositionScheme, order: (rows: number[][]) => number[][]): Promise<number> {
  return farthest(await outputs(scheme, order(rows)), order(await outputs(scheme, rows)));
}
const backwards = (rows: number[][]) => rows.toReversed();
const halvesSwapped = (rows: number[][]) => [...rows.slice(length / 2), ...rows.slice(0, length / 2)];

/** Functions of the distance alone, whichever way it goes; and nothing. */
const symmetric = ["distance-aware", "none"];

describe.each(Object.values<PositionEntry>(positions).map((entry) => [entry.name, entry] as const))(
  "%s, where all see all",
  (name, entry) => {
    if (entry.directions !== undefined) {
      test("says that it is causal only", () => {
        expect(() => entry.make({}, context)).toThrow(`${name}: is causal only, not bidirectional`);
        entry.make({}, { ...context, causal: true });
      });
      return;
    }

    test(symmetric.includes(name) ? "cannot tell ahead from behind" : "tells ahead from behind", async () => {
      const found = await difference(entry.make({}, context), backwards);
      if (symmetric.includes(name)) expect(found).toBeLessThan(1e-4);
      else expect(found).toBeGreaterThan(1e-3);
    });

    test(name === "none" ? "knows no order" : "knows an order", async () => {
      const found = await difference(entry.make({}, context), halvesSwapped);
      if (name === "none") expect(found).toBeLessThan(1e-4);
      else expect(found).toBeGreaterThan(1e-3);
    });
  },
);

test("a scheme is causal by default", async () => {
  const { causal: _, ...unsaid } = context;
  for (const entry of [positions.t5, positions.alibi, positions["transformer-xl"]]) {
    const [said, byDefault] = [entry.make({}, { ...context, causal: true }), entry.make({}, unsaid)];
    expect(farthest(await outputs(said, rows), await outputs(byDefault, rows)), entry.name).toBe(0);
  }
});
