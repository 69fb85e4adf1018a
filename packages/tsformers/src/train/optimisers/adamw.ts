import { add, cast, div, mul, sqrt, square, sub, type Tensor, tanh } from "@tsformers/engine";
import * as z from "zod";
import {
  type Decays,
  matricesDecay,
  type Optimiser,
  perParameter,
  requireFraction,
  requireNonNegative,
  zerosLike,
} from "./optimiser.ts";
import { memoryOption, type OptimiserEntry, optimiserEntry, weightDecayOption } from "./optimiser-entry.ts";

export type AdamWOptions = {
  /** β₁. Default: 0.9. */
  readonly beta1?: number;
  /** β₂. Default: 0.99. */
  readonly beta2?: number;
  /** ε, added outside the square root. Default: 1e-8. */
  readonly epsilon?: number;
  /** λ. Default: 0.1. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: {@link matricesDecay}. */
  readonly decays?: Decays;
};

const defaults = { beta1: 0.9, beta2: 0.99, weightDecay: 0.1 };

/**
 * Adam with decoupled weight decay, as in PyTorch:
 * `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← (1 − ηλ)w − η · m̂ / (√v̂ + ε)` with `m̂ = m / (1 − β₁ᵗ)`,
 * `v̂ = v / (1 − β₂ᵗ)`.
 *
 * Written to pass over memory as seldom as possible: the slots leave out the factors, `momentum = m / (1 − β₁)` and
 * `square = v / (1 − β₂)`, and everything that is constant within a parameter is one number. With
 * `a = √((1 − β₂) / (1 − β₂ᵗ))` and `b = (1 − β₁) / (1 − β₁ᵗ)`, `η m̂ / (√v̂ + ε) = (ηb/a) · momentum / (√square + ε/a)`.
 *
 * @differs defaults: β₂ = 0.99 and λ = 0.1 suit short runs of small transformers; PyTorch has 0.999 and 0.01
 * @source Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", Algorithm 2, arXiv:1711.05101
 */
export function adamw(options: AdamWOptions = {}): Optimiser {
  const { beta1, beta2, epsilon = 1e-8, weightDecay, decays = matricesDecay } = { ...defaults, ...options };
  requireFraction("adamw", "beta1", beta1);
  requireFraction("adamw", "beta2", beta2);
  requireNonNegative("adamw", "epsilon", epsilon);
  requireNonNegative("adamw", "weightDecay", weightDecay);
  return perParameter({
    name: "adamw",
    settings: { beta1, beta2, epsilon, weightDecay },
    decays: (path, shape) => weightDecay > 0 && decays(path, shape),
    elementwise: true,
    slots: (type) => ({ momentum: zerosLike(type), square: zerosLike(type) }),
    begin: ({ learningRate, step }) => {
      const t = cast(step, "float32");
      const a = sqrt(div(1 - beta2, oneMinusPower(beta2, t)));
      const rate = div(mul(learningRate, div(1 - beta1, oneMinusPower(beta1, t))), a);
      const floor = div(epsilon, a);
      const keep = sub(1, mul(learningRate, weightDecay));
      return ({ parameter, gradient, slots, decayed }) => {
        const momentum = add(mul(slots.momentum!, beta1), gradient);
        const squares = add(mul(slots.square!, beta2), square(gradient));
        const change = mul(div(momentum, add(sqrt(squares), floor)), rate);
        const kept = decayed ? mul(parameter, keep) : parameter;
        return { parameter: sub(kept, change), slots: { momentum, square: squares } };
      };
    },
  });
}

/**
 * `1 − βᵗ` to full precision even if βᵗ is close to 1: with `h = tanh(−½ t ln β)` it is `2h / (1 + h)`.
 */
function oneMinusPower(beta: number, t: Tensor): Tensor {
  if (beta === 0) return add(mul(t, 0), 1);
  const h = tanh(mul(t, -0.5 * Math.log(beta)));
  return div(mul(h, 2), add(h, 1));
}

export type AdamWSettings = Pick<AdamWOptions, "beta1" | "beta2" | "weightDecay">;

export const adamwEntry: OptimiserEntry<"adamw", AdamWSettings> = /* @__PURE__ */ optimiserEntry({
  name: "adamw",
  title: "AdamW",
  year: 2019,
  paper: "Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101",
  summary: "Adam with decoupled weight decay",
  formula: "w ← (1 − ηλ)w − η·m̂/(√v̂ + ε)",
  cost: "2 numbers for each parameter",
  options: () =>
    z.strictObject({
      beta1: memoryOption(defaults.beta1, "the mean gradient"),
      beta2: memoryOption(defaults.beta2, "the mean squared gradient"),
      weightDecay: weightDecayOption(defaults.weightDecay),
    }),
  make: adamw,
});
