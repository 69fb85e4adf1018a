import {
  type Concrete,
  compile,
  type Device,
  evaluate,
  fromNumbers,
  full,
  type NDArray,
  ndarray,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OptimiserName, optimisers } from "../../src/catalogue/optimisers.ts";
import { adafactor } from "../../src/train/optimisers/adafactor.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import type { OptimiserEntry } from "../../src/train/optimisers/index.ts";
import { lion } from "../../src/train/optimisers/lion.ts";
import type { Optimiser, OptimiserState, Pace } from "../../src/train/optimisers/optimiser.ts";
import { sgd } from "../../src/train/optimisers/sgd.ts";
import fixture from "./fixtures/optimisers.json" with { type: "json" };

type Params = { w: Tensor; b: Tensor; stack: Tensor };
type Numbers = Record<keyof Params, number[]>;
const names = ["w", "b", "stack"] as const;

let device: Device;
beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.close());

function arrays(numbers: Numbers): Concrete<Params> {
  const entries = names.map((name) => [name, fromNumbers(numbers[name], fixture.shapes[name])]);
  return Object.fromEntries(entries) as Concrete<Params>;
}

/** Parameters after each update by our optimiser. */
async function run(optimiser: Optimiser, gradients: readonly Numbers[], learningRate = 0.05): Promise<Numbers[]> {
  const update = compile(
    (gradients: Params, state: OptimiserState, params: Params, pace: Pace) =>
      optimiser.update(gradients, state, params, pace),
    { device },
  );
  let params = arrays(fixture.start);
  let state = optimiser.init(params);
  const after: Numbers[] = [];
  for (const [i, gradient] of gradients.entries()) {
    const pace = { learningRate: full([], learningRate), step: fromNumbers([i + 1], [], "int32") };
    const next = await readTree(await update(arrays(gradient), state as never, params, pace));
    params = next.params as Concrete<Params>;
    state = next.state as OptimiserState<NDArray>;
    after.push(Object.fromEntries(names.map((name) => [name, params[name].toNumbers()])) as Numbers);
  }
  await update.release();
  return after;
}

function expectClose(ours: readonly Numbers[], theirs: readonly Numbers[], tolerance: number): void {
  expect(ours).toHaveLength(theirs.length);
  theirs.forEach((numbers, step) => {
    for (const name of names) {
      numbers[name].forEach((value, i) => {
        expect(Math.abs(ours[step]![name][i]! - value), `${name}[${i}] after update ${step + 1}`).toBeLessThan(
          tolerance,
        );
      });
    }
  });
}

const everywhere = () => true;

describe(`the same parameters as ${fixture["made by"]}`, () => {
  const cases: Record<keyof typeof fixture.after, Optimiser> = {
    adamw: adamw({ beta2: 0.999, decays: everywhere }),
    "adamw matrices": adamw({ weightDecay: 0.1, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }),
    sgd: sgd({ momentum: 0 }),
    "sgd momentum": sgd({ weightDecay: 0.1 }),
    "sgd nesterov": sgd({ momentum: 0.9, nesterov: true, weightDecay: 0.1 }),
    adafactor: adafactor(),
    "adafactor decay": adafactor({
      weightDecay: 0.1,
      clipThreshold: 0.5,
      decayExponent: 0.7,
      epsilon: 1e-8,
      decays: everywhere,
    }),
    "adafactor relative": adafactor({ relativeFloor: 1e-3, weightDecay: 0.1, decays: everywhere }),
  };
  for (const [name, optimiser] of Object.entries(cases)) {
    test(name, async () => {
      const theirs = fixture.after[name as keyof typeof fixture.after];
      // Parameters reach 20 (sgd, whose last gradients are ≈ 100): 1e-6 of that is the rounding of five float32 updates.
      expectClose(await run(optimiser, fixture.gradients), theirs, name.startsWith("sgd") ? 2e-5 : 2e-6);
    });
  }
});

test("lion follows its definition, written plainly", async () => {
  const [rate, beta1, beta2, decay] = [0.05, 0.9, 0.99, 0.1];
  const params = structuredClone(fixture.start) as Numbers;
  const momentum: Numbers = { w: params.w.map(() => 0), b: params.b.map(() => 0), stack: params.stack.map(() => 0) };
  const expected = fixture.gradients.map((gradients: Numbers) => {
    for (const name of names) {
      gradients[name].forEach((g, i) => {
        const m = momentum[name][i]!;
        const kept = name === "b" ? 1 : 1 - rate * decay;
        params[name][i] = kept * params[name][i]! - rate * Math.sign(beta1 * m + (1 - beta1) * g);
        momentum[name][i] = beta2 * m + (1 - beta2) * g;
      });
    }
    return structuredClone(params);
  });
  expectClose(await run(lion({ weightDecay: decay }), fixture.gradients, rate), expected, 2e-6);
});

test("adamw corrects its bias to float32's precision in the first step: it moves by the rate, whatever the gradient", async () => {
  const optimiser = adamw({ weightDecay: 0 });
  const params = { x: ndarray([0, 0, 0]) };
  const pace = { learningRate: full([], 1), step: fromNumbers([1], [], "int32") };
  const gradient = { x: ndarray([1, -1e-2, 1e4]) };
  const { params: after } = await evaluate(
    (gradient: { x: Tensor }, state: OptimiserState, params: { x: Tensor }, pace: Pace) =>
      optimiser.update(gradient, state, params, pace),
    device,
    gradient,
    optimiser.init(params) as never,
    params,
    pace,
  );
  const [a, b, c] = after.x.toNumbers();
  expect(Math.abs(a! + 1)).toBeLessThan(5e-7);
  expect(Math.abs(b! - 1 / (1 + 1e-6))).toBeLessThan(5e-7);
  expect(Math.abs(c! + 1)).toBeLessThan(5e-7);
});

test("leaves that are no floats have no slots and stay", async () => {
  const optimiser = adamw();
  const params = { w: ndarray([[1]]), count: fromNumbers([7], [], "int32") };
  expect(Object.keys(optimiser.init(params))).toEqual(["w"]);
  const pace = { learningRate: full([], 1), step: fromNumbers([1], [], "int32") };
  type P = { w: Tensor; count: Tensor };
  const result = await evaluate(
    (gradient: P, state: OptimiserState, params: P, pace: Pace) =>
      optimiser.update(gradient, state, params, pace).params,
    device,
    params,
    optimiser.init(params) as never,
    params,
    pace,
  );
  expect(result.count.toNumbers()).toEqual([7]);
  expect(result.w.item()).toBeLessThan(0.5);
});

test.each(Object.values<OptimiserEntry>(optimisers).map((entry) => [entry.name, entry] as const))(
  "%s is the same from code and from a configuration",
  (name, entry) => {
    const made = { adamw, sgd, lion, adafactor }[name as OptimiserName]();
    expect(entry.make({}).fingerprint).toBe(made.fingerprint);
  },
);

test("settings out of range are refused, by name", () => {
  expect(() => adamw({ beta2: 1 })).toThrow("adamw: beta2 must be ≥ 0 and < 1, got 1");
  expect(() => adamw({ weightDecay: -1 })).toThrow(/weightDecay .* got -1/);
  expect(() => sgd({ momentum: 0, nesterov: true })).toThrow(/nesterov needs a momentum/);
  expect(() => adafactor({ clipThreshold: 0 })).toThrow(/clipThreshold must be > 0, got 0/);
  expect(adamw({ beta1: 0.5 }).fingerprint).toBe("adamw beta1=0.5 beta2=0.99 epsilon=1e-8 weightDecay=0.1");
});

// Adafactor looks at whole arrays, and updates every parameter by itself.
const byNumber = (Object.keys(optimisers) as OptimiserName[]).filter((name) => name !== "adafactor");

test.each(byNumber)("%s: small parameters are updated as large ones are", async (name) => {
  const entry: OptimiserEntry = optimisers[name];
  const optimiser = entry.make(entry.options().parse({}) as never);
  const [large, cut] = [20_000, 7_000];
  const numbers = (seed: number) => Float32Array.from({ length: large }, (_, i) => Math.sin(seed + 0.37 * i));
  const vector = (from: Float32Array) => fromNumbers(from, [from.length]);
  const split = (all: Float32Array) => ({ first: vector(all.slice(0, cut)), rest: vector(all.slice(cut)) });
  const [start, gradient] = [numbers(1), numbers(2)];
  const updated = async (params: unknown, gradients: unknown): Promise<Record<string, NDArray>> => {
    const update = compile(
      (gradients: Tensor, state: OptimiserState, params: Tensor, pace: Pace) =>
        optimiser.update(gradients, state, params, pace).params,
      { device },
    );
    const pace = {
      learningRate: full([], 0.05),
      step: fromNumbers([1], [], "int32"),
      gradientFactor: full([], 0.5),
    };
    const found = await readTree(
      await update(gradients as never, optimiser.init(params) as never, params as never, pace),
    );
    await update.release();
    return found as unknown as Record<string, NDArray>;
  };
  const whole = (await updated({ all: vector(start) }, { all: vector(gradient) })).all!.toNumbers();
  const parts = await updated(split(start), split(gradient));
  const joined = [...parts.first!.toNumbers(), ...parts.rest!.toNumbers()];
  expect(joined).toEqual(whole);
});
