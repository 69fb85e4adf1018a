import { expect, it } from "vitest";
import { inequalities, type Sizes } from "../../src/compare/execution/parity.ts";

const equal: Sizes = {
  parameters: 1000,
  layers: 2,
  modelWidth: 64,
  tokens: 500,
  config: { schedule: { kind: "cosine" }, optimiser: { kind: "adamw" } },
};

it("finds nothing among equals, and up to 10 % of parameters is equal", () => {
  expect(inequalities([equal, { ...equal, parameters: 1100 }, { ...equal, parameters: 900 }])).toEqual([[], [], []]);
  expect(inequalities([{ ...equal, parameters: 1 }])).toEqual([[]]);
});

it("says in what a variant differs from most", () => {
  const config = { schedule: { kind: "constant" }, optimiser: { kind: "lion" } };
  const odd = { parameters: 1320, layers: 4, modelWidth: 32, tokens: 1000, config };
  expect(inequalities([equal, odd, equal])).toEqual([
    [],
    [
      "1.32 × the parameters of the median",
      "4 layers, most have 2",
      "width 32, most have 64",
      "2.00 × the tokens of most",
      "schedule constant, most have cosine",
      "optimiser lion, most have adamw",
    ],
    [],
  ]);
  const { tokens: _, ...timed } = equal;
  expect(inequalities([timed, timed, { ...timed, parameters: 880 }])[2]).toEqual([
    "0.88 × the parameters of the median",
  ]);
});
