import {
  evaluate,
  fromNumbers,
  isNdArray,
  keyToArray,
  mapTree,
  type NDArray,
  randomKey,
  type Tensor,
  valueAndGrad,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import { type EtcParams, etc } from "../../src/models/encoders/etc.ts";
import { hasSummaries } from "../../src/models/summaries.ts";
import { contrastiveObjective } from "../../src/objectives/contrastive.ts";
import { louder } from "../attention/mixer-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const [mark, stop, G, C] = [10, 9, 4, 12];
const model = etc({
  vocabularySize: 11, layers: 1, modelWidth: C, heads: 2, globals: G, radius: 2, furthestLabel: 2, separator: stop,
}); // biome-ignore format: short
const params = mapTree(model.init(randomKey(1)), isNdArray, louder);
const rows = [
  [1, 2, 9, 3, 4, 5, 9, 6, 7, 9],
  [8, 9, 1, 2, 3, 4, 5, 6, 7, 8],
];
const ints = (rows: number[][]) => fromNumbers(rows.flat(), [rows.length, rows[0]!.length], "int32");
// The separator of the first segment is hidden: segments stay as they are.
const shown = rows.map((row, b) => row.map((token, t) => (b === 0 && t === 2 ? mark : token)));
const batch = {
  inputs: ints(shown),
  targets: ints(rows),
  weights: fromNumbers(
    rows.flatMap((_, b) => Array.from({ length: 10 }, (_, t) => (b === 0 && t === 2 ? 1 : 0))),
    [2, 10],
  ),
};

type Found = { readonly total: NDArray; readonly weight: NDArray; readonly contrast: NDArray };

function lossOf(given: typeof batch, hidden: number, seed?: number): Promise<Found> {
  const { loss } = contrastiveObjective(model, { hidden, longest: 8 });
  const key = seed === undefined ? undefined : keyToArray(randomKey(seed));
  const run = (params: never, batch: never, key?: Tensor) => {
    const { total, weight, losses } = loss(params, batch, key === undefined ? evaluation : { key });
    return { total, weight, contrast: losses!.contrast };
  };
  return evaluate(run as never, device, params as never, given as never, key as never) as never;
}

async function summariesOf(tokens: number[][], types: number[][]): Promise<number[][]> {
  const run = (params: never, tokens: Tensor, types: Tensor) =>
    model.summarise(params, { tokens, types }, evaluation).summaries;
  const all = (await evaluate(
    run as never,
    device,
    params as never,
    ints(tokens) as never,
    ints(types) as never,
  )) as never as NDArray;
  const flat = all.toNumbers();
  return Array.from({ length: flat.length / C }, (_, i) => flat.slice(i * C, (i + 1) * C));
}

test("hidden segments are told from each other by what they are, read alone", async () => {
  const types = [[0, 0, 0, 1, 1, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]]; // biome-ignore format: short
  // Without a key the first two of three segments are hidden, and the first one of two.
  const hidden = [[0, 1], [0]];
  const masked = shown.map((row, b) => row.map((token, t) => (hidden[b]!.includes(types[b]![t]!) ? mark : token)));
  const ofRows = await summariesOf(masked, types);
  const [h, e]: number[][][] = [[], []];
  for (const [b, segments] of hidden.entries()) {
    for (const segment of segments) {
      const alone = rows[b]!.filter((_, t) => types[b]![t] === segment);
      h!.push(ofRows[b * G + segment]!);
      e!.push((await summariesOf([alone], [alone.map(() => 0)]))[0]!);
    }
  }
  const scores = h!.map((a) => e!.map((b) => a.reduce((sum, x, c) => sum + x * b[c]!, 0) / Math.sqrt(C)));
  const losses = scores.map((row, i) => Math.log(row.reduce((sum, s) => sum + Math.exp(s), 0)) - row[i]!);
  const mean = losses.reduce((a, b) => a + b) / losses.length;
  const found = await lossOf(batch, 2);
  expect(found.contrast.item()).toBeCloseTo(0.2 * mean, 4);
  expect(found.weight.item()).toBe(1);
});

test("which segments are hidden is drawn by the key; a row of one segment hides none", async () => {
  const drawn = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(async (seed) => (await lossOf(batch, 1, seed)).contrast.item()),
  );
  expect(new Set(drawn).size).toBeGreaterThan(1);
  expect((await lossOf(batch, 1, 1)).contrast.item()).toBe(drawn[0]);
  const one = { ...batch, targets: ints(rows.map((row) => row.map((token) => token % 8))) };
  expect((await lossOf(one, 1, 1)).contrast.item()).toBeCloseTo(0);
});

test("both sides learn from it", async () => {
  const { loss } = contrastiveObjective(model, { longest: 8 });
  const run = (params: never, batch: never) =>
    valueAndGrad((params: never) => loss(params, batch, evaluation).losses!.contrast!)(params).gradient;
  const gradient = (await evaluate(run as never, device, params as never, batch as never)) as unknown as EtcParams;
  const size = ({ weight }: { weight: unknown }) => Math.max(...(weight as NDArray).toNumbers().map(Math.abs));
  expect(size(gradient.globalToken)).toBeGreaterThan(1e-4);
  // Token 1 stands in hidden segments alone: it is read where they stand for themselves.
  const onlyAlone = (gradient.tokens.weight as unknown as NDArray).toNumbers().slice(C, 2 * C);
  expect(Math.max(...onlyAlone.map(Math.abs))).toBeGreaterThan(1e-5);
});

test("only models that sum up segments have it", () => {
  expect(hasSummaries(model)).toBe(true);
  expect(hasSummaries(bert({ vocabularySize: 11, layers: 1, modelWidth: 8, heads: 2, length: 8 }))).toBe(false);
});
