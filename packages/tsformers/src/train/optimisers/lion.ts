import { add, mul, sign, sub } from "@tsformers/engine";
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

export type LionOptions = {
  /** β₁, weight of the momentum in the update direction. Default: 0.9. */
  readonly beta1?: number;
  /** β₂, decay of the momentum. Default: 0.99. */
  readonly beta2?: number;
  /** λ. Default: 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: {@link matricesDecay}. */
  readonly decays?: Decays;
};

const defaults = { beta1: 0.9, beta2: 0.99, weightDecay: 0 };

/**
 * Lion: every weight moves by exactly the rate, with the sign of an average of momentum and gradient:
 * `w ← (1 − ηλ)w − η·sign(β₁m + (1 − β₁)g)`, `m ← β₂m + (1 − β₂)g`.
 *
 * Compared with AdamW, use a rate 3 to 10 times smaller, and a decay as many times larger.
 *
 * @source Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", Algorithm 2, arXiv:2302.06675
 */
export function lion(options: LionOptions = {}): Optimiser {
  const { beta1, beta2, weightDecay, decays = matricesDecay } = { ...defaults, ...options };
  requireFraction("lion", "beta1", beta1);
  requireFraction("lion", "beta2", beta2);
  requireNonNegative("lion", "weightDecay", weightDecay);
  return perParameter({
    name: "lion",
    settings: { beta1, beta2, weightDecay },
    decays: (path, shape) => weightDecay > 0 && decays(path, shape),
    elementwise: true,
    slots: (type) => ({ momentum: zerosLike(type) }),
    begin: ({ learningRate }) => {
      const keep = sub(1, mul(learningRate, weightDecay));
      return ({ parameter, gradient, slots, decayed }) => {
        const old = slots.momentum!;
        const direction = sign(add(mul(old, beta1), mul(gradient, 1 - beta1)));
        const momentum = add(mul(old, beta2), mul(gradient, 1 - beta2));
        const kept = decayed ? mul(parameter, keep) : parameter;
        return { parameter: sub(kept, mul(direction, learningRate)), slots: { momentum } };
      };
    },
  });
}

export type LionSettings = Pick<LionOptions, "beta1" | "beta2" | "weightDecay">;

export const lionEntry: OptimiserEntry<"lion", LionSettings> = /* @__PURE__ */ optimiserEntry({
  name: "lion",
  title: "Lion",
  year: 2023,
  paper: "Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, arXiv:2302.06675",
  summary: "steps of one size in the direction that momentum and gradient agree on",
  formula: "w ← (1 − ηλ)w − η·sign(β₁m + (1 − β₁)g)",
  cost: "1 number for each parameter; wants rates 3 to 10 times smaller than AdamW's",
  options: () =>
    z.strictObject({
      beta1: memoryOption(defaults.beta1, "the mean gradient, in the direction of an update"),
      beta2: memoryOption(defaults.beta2, "the mean gradient, from update to update"),
      weightDecay: weightDecayOption(defaults.weightDecay),
    }),
  make: lion,
});
