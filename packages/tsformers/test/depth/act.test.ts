import {
  add,
  evaluate,
  mul,
  type NDArray,
  normal,
  randomKey,
  reshape,
  sigmoid,
  slice,
  sum,
  type Tensor,
  tanh,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { adaptiveSteps, type HaltingOptions, leakyAverage, weightedSum } from "../../src/depth/act.ts";
import { slopes } from "../numbers.ts";

const device = await openCpu();
afterAll(() => device.close());

const [batch, length, width, maxSteps] = [3, 40, 4, 5];
/** Probabilities of each step and position, large and small: some halt at once, some never. */
const logits = normal(randomKey(1), [maxSteps, batch, length], { deviation: 2.5 });
const x = normal(randomKey(2), [batch, length, width]);

type Options = Omit<HaltingOptions, "maxSteps">;
const cases: readonly (readonly [string, Options])[] = [
  ["Tensor2Tensor's", {}],
  ["a leaky average", { update: leakyAverage }],
  ["halted states are kept", { keepsHalted: true }],
  ["what is left goes to the last step", { assignsRest: true }],
  ["both", { keepsHalted: true, assignsRest: true, update: leakyAverage }],
  ["it halts late", { epsilon: 0.3 }],
  ["it halts exactly at 1", { epsilon: 0 }],
];

const run = (options: Options) =>
  evaluate(
    (x: Tensor, logits: Tensor) => {
      let step = 0;
      return adaptiveSteps(
        x,
        {
          signal: (step, state) => add(state, step),
          halt: () => sigmoid(reshape(slice(logits, 0, step, ++step), [batch, length])),
          transform: (step, state) => add(mul(state, 0.5), step),
        },
        { ...options, maxSteps },
      );
    },
    device,
    x,
    logits,
  );

/** One position after the other, as the paper says it. */
function byDefinition(options: Options) {
  const { epsilon = 0.01, update = weightedSum, keepsHalted, assignsRest } = options;
  const [values, probabilities] = [x.toNumbers(), logits.toNumbers().map((z) => 1 / (1 + Math.exp(-z)))];
  return Array.from({ length: batch * length }, (_, at) => {
    let state = values.slice(at * width, (at + 1) * width);
    let result = state.map(() => 0);
    let [halting, updates, remainder] = [0, 0, 0];
    const weights: number[] = [];
    let isRunning = true;
    for (let step = 0; step < maxSteps; step++) {
      const given = state.map((value) => value + step);
      const next = given.map((value) => 0.5 * value + step);
      const p = probabilities[step * batch * length + at]!;
      let weight = 0;
      if (isRunning) {
        updates++;
        const halts = halting + p > 1 - epsilon || (assignsRest === true && step === maxSteps - 1);
        weight = halts ? 1 - halting : p;
        if (halts) remainder = weight;
        state = next;
        halting += weight;
        isRunning = !halts;
      } else state = keepsHalted ? given : next;
      weights.push(weight);
      result = result.map((value, c) =>
        update === weightedSum ? value + weight * state[c]! : weight * state[c]! + (1 - weight) * value,
      );
    }
    return { result, weights, updates, remainder, halts: !isRunning, state };
  });
}

describe.each(cases)("%s", (_, options) => {
  const expected = byDefinition(options);

  test("it is the definition, position by position", async () => {
    const { result, updates, remainders, steps } = await run(options);
    expect(updates.toNumbers()).toEqual(expected.map(({ updates }) => updates));
    const close = (found: NDArray, wanted: readonly number[]) => {
      found.toNumbers().forEach((value, i) => {
        expect(value).toBeCloseTo(wanted[i]!, 4);
      });
    };
    close(
      result,
      expected.flatMap(({ result }) => result),
    );
    close(
      remainders,
      expected.map(({ remainder }) => remainder),
    );
    close(
      steps.at(-1)!.state,
      expected.flatMap(({ state }) => state),
    );
    steps.forEach(({ weight }, step) => {
      close(
        weight,
        expected.map(({ weights }) => weights[step]!),
      );
    });
  });

  test("weights of what halts add up to 1, those of what does not to less", async () => {
    const { steps } = await run(options);
    const each = steps.map(({ weight }) => weight.toNumbers());
    const totals = expected.map((_, at) => each.reduce((total, weights) => total + weights[at]!, 0));
    const left = totals.filter((total, at) => {
      if (expected[at]!.halts) expect(total).toBeCloseTo(1, 6);
      else expect(total).toBeLessThan(1);
      return !expected[at]!.halts;
    });
    // Both sorts occur, and positions stop at every step or nearly every one.
    if (options.assignsRest) expect(left).toEqual([]);
    else expect(left.length).toBeGreaterThan(0);
    expect(new Set(expected.map(({ updates }) => updates)).size).toBeGreaterThanOrEqual(maxSteps - 1);
    // Whatever has halted is at exactly 1, and runs no more.
    const last = steps.at(-1)!.halting.toNumbers();
    for (const [at, { halts }] of expected.entries()) if (halts) expect(last[at]).toBe(1);
  });
});

test("the result is differentiable through weights, halting through remainders alone", () => {
  const part = (of: "result" | "remainders" | "updates") => {
    const loss = (params: { x: Tensor; w: Tensor }) => {
      const { [of]: found } = adaptiveSteps(
        params.x,
        {
          signal: (step, state) => add(state, 0.1 * step),
          halt: (state) => sigmoid(sum(mul(state, params.w), { axes: -1 })),
          transform: (_, state) => tanh(mul(state, 1.3)),
        },
        { maxSteps },
      );
      return sum(mul(found, found));
    };
    return slopes(loss, { x, w: normal(randomKey(3), [width]) });
  };
  for (const of of ["result", "remainders"] as const) {
    const { byGradient, byDifference } = part(of);
    expect(Math.abs(byGradient)).toBeGreaterThan(1e-2);
    expect(byGradient).toBeCloseTo(byDifference, 4);
  }
  // Counts are steps: flat wherever they can be differentiated.
  expect(part("updates")).toEqual({ byGradient: 0, byDifference: 0 });
});
