import {
  add,
  flatten,
  full,
  mul,
  NDArray,
  randomKey,
  recompute,
  reshape,
  sum,
  type Tensor,
  tanh,
  trace,
  valueAndGrad,
} from "@tsformers/engine";
import { expect, test } from "vitest";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { estimateMemory, memoryText, peakBytes, requireMemory } from "../../src/train/memory.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { trainStep } from "../../src/train/step.ts";

const kilobyte = full([256], 0);

function peakOf(fn: (x: Tensor) => unknown): number {
  const { leaves, structure } = flatten([kilobyte], (value): value is NDArray => value instanceof NDArray);
  return peakBytes(trace(fn as (x: never) => unknown, structure, leaves).program);
}

test("arrays count from their making to their last use", () => {
  expect(peakOf((x) => tanh(x))).toBe(1024);
  expect(peakOf((x) => tanh(tanh(tanh(x))))).toBe(2048);
  expect(
    peakOf((x) => {
      const [a, b] = [tanh(x), mul(x, 2)];
      return add(tanh(b), a);
    }),
  ).toBe(3 * 1024);
});

test("views cost nothing and keep what they show", () => {
  expect(peakOf((x) => reshape(tanh(reshape(x, [16, 16])), [256]))).toBe(1024);
  expect(
    peakOf((x) => {
      const view = reshape(tanh(x), [16, 16]);
      return add(reshape(tanh(tanh(x)), [16, 16]), view);
    }),
  ).toBe(3 * 1024);
});

test("recomputation shows", () => {
  const deep = (x: Tensor) => tanh(tanh(tanh(tanh(tanh(tanh(x))))));
  const gradient = (fn: (x: Tensor) => Tensor) => (x: Tensor) => valueAndGrad((x: Tensor) => sum(fn(x)))(x);
  const plain = peakOf(gradient((x) => deep(deep(x))));
  const saving = peakOf(gradient((x) => recompute(deep)(recompute(deep)(x))));
  expect(plain).toBeGreaterThan(12 * 1024);
  expect(saving).toBeLessThan(0.8 * plain);
});

test("parameters and slots of any size are counted before there is memory for them", () => {
  const model = gpt({ vocabularySize: 50_257, layers: 96, modelWidth: 12_288, heads: 96, length: 2048 });
  const step = trainStep({ loss: tokenObjective(model).loss, optimiser: adamw() });
  const state = step.init(model.init(randomKey(0)));
  const { parameters, stateBytes } = estimateMemory((state as { params: unknown }).params, state);
  expect(parameters).toBe(174_604_259_328);
  expect(stateBytes).toBe(3 * 4 * parameters + 4);
});

test("an estimate adds what lasts to what a step needs, and is refused above what is free", () => {
  const params = { w: kilobyte };
  const { leaves, structure } = flatten([params], (value): value is NDArray => value instanceof NDArray);
  const { program } = trace((({ w }: { w: Tensor }) => tanh(w)) as (x: never) => unknown, structure, leaves);
  const estimate = estimateMemory(params, { params, slots: [kilobyte, kilobyte] }, program);
  expect(estimate).toEqual({
    parameters: 256,
    stateBytes: 3 * 1024,
    stepBytes: 1.5 * 1024 + 6400,
    totalBytes: 100e6 + 4.5 * 1024 + 6400,
  });
  expect(memoryText(estimate)).toBe("256 parameters · 0.00307 MB from step to step · about 100 MB in a step");
  expect(() => requireMemory(estimate, 101e6)).not.toThrow();
  expect(() => requireMemory(estimate, 100_005_000)).toThrow(/lower modelWidth, layers$/);
  const wide = { ...estimate, stepBytes: 9e9, totalBytes: 9.1e9 };
  expect(() => requireMemory(wide, 1e9)).toThrow(
    /^this takes more memory than is free, 1\.00 GB: 256 parameters .* lower batchSize, length, modelWidth, layers, or raise microBatches$/,
  );
});
