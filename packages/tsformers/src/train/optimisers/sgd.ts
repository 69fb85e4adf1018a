import { add, mul, sub } from "@tsformers/engine";
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

export type SgdOptions = {
  /** μ. Default: 0.9. */
  readonly momentum?: number;
  /** Nesterov momentum: the step is `g + μ·velocity`. Default: false. */
  readonly nesterov?: boolean;
  /** λ, added to the gradient. Default: 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: {@link matricesDecay}. */
  readonly decays?: Decays;
};

const defaults = { momentum: 0.9, weightDecay: 0 };

/**
 * Stochastic gradient descent: `g ← g + λw`, `velocity ← μ·velocity + g`, `w ← w − η·velocity`, as in PyTorch.
 *
 * @throws RangeError for `nesterov` without momentum
 * @source Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning"
 * @differs from the paper: the rate multiplies the velocity instead of the gradient
 */
export function sgd(options: SgdOptions = {}): Optimiser {
  const { momentum, nesterov = false, weightDecay, decays = matricesDecay } = { ...defaults, ...options };
  requireFraction("sgd", "momentum", momentum);
  requireNonNegative("sgd", "weightDecay", weightDecay);
  if (nesterov && momentum === 0) throw new RangeError("sgd: nesterov needs a momentum above 0, got 0");
  return perParameter({
    name: nesterov ? "sgd-nesterov" : "sgd",
    settings: { momentum, weightDecay },
    decays: (path, shape) => weightDecay > 0 && decays(path, shape),
    elementwise: true,
    slots: (type) => (momentum === 0 ? {} : { velocity: zerosLike(type) }),
    begin: ({ learningRate }) => {
      return ({ parameter, gradient, slots, decayed }) => {
        const slope = decayed ? add(gradient, mul(parameter, weightDecay)) : gradient;
        if (momentum === 0) return { parameter: sub(parameter, mul(slope, learningRate)), slots: {} };
        const velocity = add(mul(slots.velocity!, momentum), slope);
        const ahead = nesterov ? add(slope, mul(velocity, momentum)) : velocity;
        return { parameter: sub(parameter, mul(ahead, learningRate)), slots: { velocity } };
      };
    },
  });
}

export type SgdSettings = Pick<SgdOptions, "momentum" | "weightDecay">;

export const sgdEntry: OptimiserEntry<"sgd", SgdSettings> = /* @__PURE__ */ optimiserEntry({
  name: "sgd",
  title: "SGD",
  year: 2013,
  paper: "Sutskever et al. 2013, On the Importance of Initialization and Momentum in Deep Learning",
  summary: "stochastic gradient descent with momentum",
  formula: "velocity ← μ·velocity + g, w ← w − η·velocity",
  cost: "1 number for each parameter",
  options: () =>
    z.strictObject({
      momentum: memoryOption(defaults.momentum, "earlier gradients"),
      weightDecay: weightDecayOption(defaults.weightDecay),
    }),
  make: sgd,
});
