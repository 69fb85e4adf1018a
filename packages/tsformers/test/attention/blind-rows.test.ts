import { evaluate, type NDArray, ndarray, normal, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { makeAveragingView, makeView } from "../../src/attention/core/view.ts";
import { causal } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import { evaluation } from "../../src/kinds/layer.ts";

const mixer = attention({ modelWidth: 8, heads: 2, bias: false });

async function run(see: typeof makeView): Promise<number[]> {
  const device = await openCpu();
  const mask = ndarray(Int32Array.of(0, 0, 1, 1), [1, 4]);
  const pass = (params: never, x: Tensor, keyMask: Tensor) =>
    mixer.apply(params, { x, view: see({ pattern: causal, queries: 4, keys: 4, keyMask }) }, evaluation).y;
  const params = mixer.init(randomKey(1)) as never;
  return ((await evaluate(pass, device, params, normal(randomKey(2), [1, 4, 8]), mask)) as NDArray).toNumbers();
}

test("a query that sees nothing gets zero", async () => {
  const y = await run(makeView);
  expect(y.slice(0, 16)).toEqual(new Array(16).fill(0));
  expect(y.slice(16).every((value) => value !== 0 && Number.isFinite(value))).toBe(true);
});

test("the reference's way gives it the mean of all values instead, and the same to all others", async () => {
  const [ours, theirs] = [await run(makeView), await run(makeAveragingView)];
  expect(theirs.slice(16)).toEqual(ours.slice(16));
  expect(theirs.slice(0, 8)).toEqual(theirs.slice(8, 16));
  expect(theirs[0]).not.toBe(0);
});
