import { add, mul, sub } from "@tsformers/engine";
import {
  type Decays,
  matricesDecay,
  type Optimiser,
  perParameter,
  requireFraction,
  requireNonNegative,
  zerosLike,
} from "./optimiser.ts";

export type SgdOptions = {
  /** μ. Default: 0. */
  readonly momentum?: number;
  /** Nesterov momentum: the step is `g + μ·velocity`. Default: false. */
  readonly nesterov?: boolean;
  /** λ, added to the gradient. Default: 0. */
  readonly weightDecay?: number;
  /** Which parameters decay. Default: {@link matricesDecay}. */
  readonly decays?: Decays;
};

/**
 * Stochastic gradient descent: `g ← g + λw`, `velocity ← μ·velocity + g`, `w ← w − η·velocity`, as in PyTorch.
 *
 * @throws RangeError for `nesterov` without momentum
 * @source Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning"
 * @differs from the paper: the rate multiplies the velocity instead of the gradient
 */
export function sgd(options: SgdOptions = {}): Optimiser {
  const { momentum = 0, nesterov = false, weightDecay = 0, decays = matricesDecay } = options;
  requireFraction("sgd", "momentum", momentum);
  requireNonNegative("sgd", "weightDecay", weightDecay);
  if (nesterov && momentum === 0) throw new RangeError("sgd: nesterov needs a momentum above 0, got 0");
  return perParameter({
    name: nesterov ? "sgd-nesterov" : "sgd",
    settings: { momentum, weightDecay },
    slots: (type) => (momentum === 0 ? {} : { velocity: zerosLike(type) }),
    begin: ({ learningRate }) => {
      return ({ path, parameter, gradient, slots }) => {
        const decayed = weightDecay > 0 && decays(path, parameter.shape);
        const slope = decayed ? add(gradient, mul(parameter, weightDecay)) : gradient;
        if (momentum === 0) return { parameter: sub(parameter, mul(slope, learningRate)), slots: {} };
        const velocity = add(mul(slots.velocity!, momentum), slope);
        const ahead = nesterov ? add(slope, mul(velocity, momentum)) : velocity;
        return { parameter: sub(parameter, mul(ahead, learningRate)), slots: { velocity } };
      };
    },
  });
}
