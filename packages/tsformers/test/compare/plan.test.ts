import { expect, test } from "vitest";
import { planRuns } from "../../src/compare/plan.ts";
import { parseRunConfig } from "../../src/run/config.ts";

const config = { ...parseRunConfig({ task: { kind: "copy" } }, "test"), length: 8 };
const plan = (models: readonly string[], positions: readonly string[], more: object = {}) =>
  planRuns({ config: { ...config, ...more }, models, positions, seeds: 1, lengths: [8], data: "" }, "out").map(
    ({ variant, job }) => [variant, job.config.position?.kind],
  );

test("models that take any position scheme run with each, the others once with their own", () => {
  expect(plan(["gpt", "llama"], ["rotary", "alibi"])).toEqual([
    ["gpt · rotary", "rotary"],
    ["gpt · alibi", "alibi"],
    ["llama", undefined],
  ]);
  expect(plan(["llama"], [])).toEqual([["llama", undefined]]);
});

test("position schemes that nobody takes are an error, and so is one that is set and not compared", () => {
  expect(() => plan(["llama"], ["rotary", "alibi"])).toThrow("positions rotary, alibi: llama has its own");
  expect(() => plan(["llama", "t5"], ["alibi"])).toThrow("llama and t5 have their own; a model that takes any is gpt");
  const position = { kind: "t5", buckets: 16 };
  expect(() => plan(["gpt"], ["alibi"], { position })).toThrow("position t5 is set, but not among those");
  expect(plan(["gpt"], ["alibi", "t5"], { position })).toHaveLength(2);
});
