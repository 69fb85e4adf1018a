import { constant, fromNumbers } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { models } from "../../src/catalogue/models.ts";
import { type ImageTransformerOptions, imageTransformer } from "../../src/models/pictures/image-transformer.ts";
import type { PictureModel } from "../../src/pictures/picture-model.ts";
import { shrunkPictures } from "../../src/pictures/resized-pictures.ts";
import { louderParams, natsOf } from "./picture-cases.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { layers: 1, modelWidth: 16, heads: 2 };
const [rows, columns, levels] = [5, 6, 5];
const shape = { rows, columns, channels: 1, levels };
type Local = ImageTransformerOptions["local"];

/** When each pixel is written: block by block, blocks row by row, pixels row by row inside. Written out slowly. */
function writtenAt(local: Local): number[] {
  const pixels = Array.from({ length: rows * columns }, (_, pixel) => pixel);
  const [height, width] = local.kind === "2d" ? local.queryBlock : [1, columns];
  const rank = (pixel: number): number => {
    const [row, column] = [Math.floor(pixel / columns), pixel % columns];
    const [top, left] = [Math.floor(row / height), Math.floor(column / width)];
    return ((top * 100 + left) * 100 + (row % height)) * 100 + (column % width);
  };
  const order = [...pixels].sort((a, b) => rank(a) - rank(b));
  return pixels.map((pixel) => order.indexOf(pixel));
}

/** Whether a pixel looks at another, as the paper draws it. */
function sees(local: Local, at: readonly number[], query: number, key: number): boolean {
  if (at[key]! > at[query]!) return false;
  if (local.kind === "1d") {
    const [own, other] = [query, key].map((pixel) => Math.floor(at[pixel]! / local.block));
    return own! - other! <= 1;
  }
  const [height, width] = local.queryBlock;
  const [up, aside] = local.flange;
  const [[row, column], [r, c]] = [query, key].map((pixel) => [Math.floor(pixel / columns), pixel % columns]) as [
    [number, number],
    [number, number],
  ];
  const [top, left] = [row - (row % height), column - (column % width)];
  const isAbove = r < top && r >= top - up && c >= left - aside && c < left + width + aside;
  const isBeside = r >= top && r < top + height && c >= left - aside && c < left + width;
  return isAbove || isBeside;
}

describe.each([
  { kind: "1d", block: 7 },
  { kind: "2d", queryBlock: [2, 3], flange: [1, 2] },
  { kind: "2d", queryBlock: [3, 4], flange: [2, 1] },
] as const)("one layer, %o", (local) => {
  test("a step depends on the steps before those that it sees, and on no others", async () => {
    const model = imageTransformer({ ...sizes, shape, local });
    const at = writtenAt(local);
    expect(model.steps.map(([place]) => at[place!])).toEqual(model.steps.map((_, step) => step));
    const params = louderParams(model as never);
    const picture = at.map((_, i) => (i * i + 2 * i) % levels);
    const changed = picture.map((value, pixel) => picture.with(pixel, (value + 2) % levels));
    const [before, ...after] = await natsOf(model as never, params, device, [picture, ...changed]);
    const order = model.steps.map(([place]) => place!);
    picture.forEach((_, pixel) => {
      // What is written at one step is read at the next one.
      const next = order[at[pixel]! + 1];
      picture.forEach((_, query) => {
        const difference = Math.abs(after[pixel]![at[query]!]! - before![at[query]!]!);
        const isSeen = query === pixel || (next !== undefined && sees(local, at, query, next));
        if (isSeen) expect(difference, `${query} does not see ${pixel}`).toBeGreaterThan(1e-6);
        else expect(difference, `${query} sees ${pixel}`).toBeLessThan(1e-6);
      });
    });
  });
});

test("without a small picture, it draws from the mean of its own pixels", async () => {
  const square = { rows: 4, columns: 4, channels: 1, levels };
  const local = { kind: "2d", queryBlock: [2, 2], flange: [1, 1] } as const;
  const model = imageTransformer({ ...sizes, shape: square, local, inputSize: 2, encoderLayers: 1 }) as never;
  const params = louderParams(model);
  const picture = Array.from({ length: 16 }, (_, i) => (3 * i * i + i) % levels);
  const small = shrunkPictures(picture, square, { ...square, rows: 2, columns: 2 });
  // The mean of four pixels, rounded; 2.5 becomes 3.
  expect(
    Array.from(shrunkPictures([2, 3, 3, 2], { ...square, rows: 2, columns: 2 }, { ...square, rows: 1, columns: 1 })),
  ).toEqual([3]);
  const given = (values: ArrayLike<number>): PictureModel<never> => ({
    ...(model as PictureModel<never>),
    apply: (own, pictures, context) =>
      (model as PictureModel<never>).apply(
        own,
        pictures,
        context,
        constant(fromNumbers(Array.from(values), [1, 2, 2, 1], "int32")),
      ),
  });
  const [own] = await natsOf(model, params, device, [picture]);
  const [same] = await natsOf(given(small), params, device, [picture]);
  const [other] = await natsOf(given(small.map((value) => (value + 2) % levels)), params, device, [picture]);
  own!.forEach((nats, step) => {
    expect(same![step]).toBeCloseTo(nats, 5);
    // Every step looks at the small picture.
    expect(Math.abs(other![step]! - nats)).toBeGreaterThan(1e-4);
  });
});

test("options that do nothing, and lengths that are no picture, are refused in a line", () => {
  const make = (more: object) => () =>
    models["image-transformer"].make({ vocabularySize: 8, length: 48, modelWidth: 16, heads: 2, ...more });
  expect(make({ length: 50 })).toThrow("expected a length of size² values (grey) or 3·size² (three colours), got 50");
  expect(make({ local: "1d", flange: [1, 1] })).toThrow("flange does nothing with local 1d; leave it out");
  expect(make({ block: 8 })).toThrow("block does nothing with local 2d; leave it out");
  expect(make({ likelihood: "categorical", mixtures: 5 })).toThrow("mixtures do nothing where values are classes");
});
