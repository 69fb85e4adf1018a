import { describe, expect, test } from "vitest";
import { computedPairs } from "../../../src/attention/core/plan.ts";
import { local1d } from "../../../src/attention/patterns/local-1d.ts";
import { blockRaster, local2d, local2dGenerated } from "../../../src/attention/patterns/local-2d.ts";
import { expectCausal, expectShows } from "./predicate.ts";

describe.each([1, 6, 40, 200])("1-D local, blocks of %i", (block) => {
  const apart = (j: number, i: number) => Math.floor(j / block) - Math.floor(i / block);

  test("causal", () => {
    expectShows(local1d({ block, causal: true }), (j, i) => j <= i && apart(j, i) >= -1);
    expectCausal(local1d({ block, causal: true }));
  });

  test("both ways", () => expectShows(local1d({ block, causal: false }), (j, i) => Math.abs(apart(j, i)) <= 1));
});

describe.each([
  { columns: 9, queryBlock: [2, 3], flange: [2, 2] },
  { columns: 10, queryBlock: [4, 4], flange: [0, 0] },
  { columns: 7, queryBlock: [3, 2], flange: [1, 5] },
  { columns: 5, queryBlock: [2, 8], flange: [3, 3] },
  { columns: 1, queryBlock: [2, 1], flange: [1, 1] },
] as const)("2-D local %j", (sizes) => {
  const {
    columns,
    queryBlock: [height, width],
    flange: [up, aside],
  } = sizes;
  const place = (pixel: number) => {
    const [row, column] = [Math.floor(pixel / columns), pixel % columns];
    const [top, left] = [Math.floor(row / height) * height, Math.floor(column / width) * width];
    return { row, column, top, left, inside: (row - top) * width + (column - left) };
  };
  const before = (j: number, i: number) => {
    const [key, query] = [place(j), place(i)];
    const sameBlock = key.top === query.top && key.left === query.left;
    const above = key.row >= query.top - up && key.row < query.top;
    const beside = key.row >= query.top && key.row < query.top + height;
    return (
      (sameBlock && key.inside <= query.inside) ||
      (above && key.column >= query.left - aside && key.column < query.left + width + aside) ||
      (beside && key.column >= query.left - aside && key.column < query.left)
    );
  };

  test("causal in block raster", () => expectShows(local2d({ ...sizes, causal: true }), before));

  test("both ways", () => {
    expectShows(local2d({ ...sizes, causal: false }), (j, i) => {
      const [key, query] = [place(j), place(i)];
      const rows = key.row >= query.top - up && key.row < query.top + height + up;
      return rows && key.column >= query.left - aside && key.column < query.left + width + aside;
    });
  });

  test("sees only what is earlier in the order of generation, and is causal over it", () => {
    const rows = 8;
    const order = blockRaster(sizes)(rows * columns);
    const generated = local2dGenerated({ ...sizes, rows, causal: true });
    expectShows(generated, (j, i) => before(order[j]!, order[i]!), [rows * columns]);
    expectShows(generated, (j, i) => before(order[j]!, order[i]!), [Math.min(19, rows * columns)]);
    expectCausal(generated, rows * columns);
  });
});

test("block raster goes block by block, and row by row inside", () => {
  const order = blockRaster({ columns: 4, queryBlock: [2, 3] });
  expect([...order(12)]).toEqual([0, 1, 2, 4, 5, 6, 3, 7, 8, 9, 10, 11]);
  expect(blockRaster({ columns: 4, queryBlock: [2, 3] })).toBe(order);
});

test("blocks that lie together cost little", () => {
  const pattern = local2d({ columns: 64, queryBlock: [8, 8], flange: [8, 8], causal: true });
  expect(computedPairs(pattern, { queries: 4096, keys: 4096 })).toBeLessThan(4096 * 4096 * 0.15);
});
