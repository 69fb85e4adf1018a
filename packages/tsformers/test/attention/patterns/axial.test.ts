import { describe, expect, test } from "vitest";
import { axialColumn, axialCross, axialHeads, axialLayers, axialRow } from "../../../src/attention/patterns/axial.ts";
import { byResidue } from "../../../src/attention/patterns/order.ts";
import { expectCausal, expectShows } from "./predicate.ts";

describe.each([1, 5, 8, 300])("axial, %i columns", (columns) => {
  const row = (j: number, i: number) => Math.floor(j / columns) === Math.floor(i / columns);
  const column = (j: number, i: number) => j % columns === i % columns;

  test("rows and columns, both ways and causal", () => {
    expectShows(axialRow({ columns, causal: false }), row);
    expectShows(axialColumn({ columns, causal: false }), column);
    expectShows(axialRow({ columns, causal: true }), (j, i) => row(j, i) && j <= i);
    expectShows(axialColumn({ columns, causal: true }), (j, i) => column(j, i) && j <= i);
    expectShows(axialColumn({ columns, causal: true, strictly: true }), (j, i) => column(j, i) && j < i);
  });

  test("together, by head and by layer", () => {
    expectShows(axialCross({ columns, causal: true }), (j, i) => (row(j, i) || column(j, i)) && j <= i);
    expectShows(axialHeads({ columns, causal: false }), (j, i, head) => (head === 0 ? row : column)(j, i));
    expectShows(axialLayers({ columns, causal: false })(5), column);
    for (const pattern of [axialCross, axialHeads]) expectCausal(pattern({ columns, causal: true }));
  });
});

test("columns lie together", () => {
  expect([...byResidue(3)(8)]).toEqual([0, 3, 6, 1, 4, 7, 2, 5]);
  expect([...byResidue(9)(4)]).toEqual([0, 1, 2, 3]);
  expect(byResidue(3)).toBe(byResidue(3));
});
