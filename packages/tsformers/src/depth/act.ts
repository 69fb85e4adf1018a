import { add, and, cast, expandDims, greater, less, mul, not, sub, type Tensor, where, zeros } from "@tsformers/engine";

/** How the state of a step enters the result: accumulated [B, T, C], the state after the step [B, T, C], its weight [B, T, 1]. */
export type StateUpdate = (accumulated: Tensor, state: Tensor, weight: Tensor) => Tensor;

/** `y ← y + w·s`: the result is the mean of all states by their weights. Graves 2016, §2, and the paper. */
export const weightedSum: StateUpdate = (accumulated, state, weight) => add(accumulated, mul(weight, state));

/** `y ← w·s + (1 − w)·y`: the standard of Tensor2Tensor. */
export const leakyAverage: StateUpdate = (accumulated, state, weight) =>
  add(mul(weight, state), mul(sub(1, weight), accumulated));

export type HaltingOptions = {
  /** Steps at most. */
  readonly maxSteps: number;
  /** A position halts when its probabilities add up to more than 1 − ε. Default: 0.01. */
  readonly epsilon?: number;
  /** Default: {@link weightedSum}. */
  readonly update?: StateUpdate;
  /** Positions that halted keep their state, as the paper says. Default: they go on being transformed, as in Tensor2Tensor; only the result stays. */
  readonly keepsHalted?: true;
  /** What is left of a position that never halts is the weight of the last step (Graves). Default: it is lost (Tensor2Tensor). */
  readonly assignsRest?: true;
};

export type HaltingParts = {
  /** What the state becomes before it is looked at: positions and steps are told here. */
  readonly signal: (step: number, state: Tensor) => Tensor;
  /** The probability of halting, from a state with its signals: [B, T, C] → [B, T], 0 to 1. */
  readonly halt: (state: Tensor) => Tensor;
  /** [B, T, C] → [B, T, C] */
  readonly transform: (step: number, state: Tensor) => Tensor;
};

/** What one step did. */
export type HaltingStep = {
  /** The position's halting probabilities, added up to this step, float32 [B, T]. */
  readonly halting: Tensor;
  /** Whether a position was at work before the step, bool [B, T]. */
  readonly running: Tensor;
  /** float32 [B, T] */
  readonly weight: Tensor;
  /** After the step, [B, T, C]. */
  readonly state: Tensor;
};

export type Halted = {
  /** [B, T, C] */
  readonly result: Tensor;
  readonly steps: readonly HaltingStep[];
  /** How many steps each position made, float32 [B, T]. */
  readonly updates: Tensor;
  /** The weight of each position's last step, float32 [B, T]; differentiable, as updates are not. */
  readonly remainders: Tensor;
};

/**
 * Adaptive computation time for every position: transforms a state step by step until the position's halting probabilities add up to one.
 *
 * With p the probability after signals and h what was added up before: a position that runs (h < 1) halts when `h + p > 1 − ε`; its
 * weight is p while it runs and `1 − h` at the step that halts it. Weights of a position that halts add up to 1.
 *
 * Static graphs make all `maxSteps`: steps of positions that halted have weight 0.
 *
 * @shape  x [B, T, C] → result [B, T, C]
 * @cost   maxSteps transformations
 * @source Graves 2016, "Adaptive Computation Time for Recurrent Neural Networks", §2, arXiv:1603.08983; per position: Dehghani et al.
 *   2019, "Universal Transformers", §2.2, arXiv:1807.03819
 */
export function adaptiveSteps(x: Tensor, parts: HaltingParts, options: HaltingOptions): Halted {
  const { maxSteps, epsilon = 0.01, update = weightedSum, keepsHalted, assignsRest } = options;
  const shape = x.shape.slice(0, -1);
  let halting: Tensor = zeros(shape);
  let remainders: Tensor = zeros(shape);
  let updates: Tensor = zeros(shape);
  let result: Tensor = zeros(x.shape, x.dtype);
  let state = x;
  const steps: HaltingStep[] = [];
  for (let step = 0; step < maxSteps; step++) {
    state = parts.signal(step, state);
    const probability = cast(parts.halt(state), "float32");
    const running = less(halting, 1);
    const isLast = assignsRest === true && step === maxSteps - 1;
    const stops = isLast ? running : and(running, greater(add(halting, probability), 1 - epsilon));
    const goesOn = and(running, not(stops));
    const rest = where(stops, sub(1, halting), 0);
    const weight = where(goesOn, probability, rest);
    const next = parts.transform(step, state);
    state = keepsHalted ? where(expandDims(running, -1), next, state) : next;
    result = update(result, state, cast(expandDims(weight, -1), x.dtype));
    halting = add(halting, weight);
    // What halts is exactly 1, whatever was rounded.
    halting = where(stops, 1, halting);
    remainders = add(remainders, rest);
    updates = add(updates, cast(running, "float32"));
    steps.push({ halting, running, weight, state });
  }
  return { result, steps, updates, remainders };
}
