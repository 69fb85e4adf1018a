import {
  add,
  type Concrete,
  div,
  exp,
  expandDims,
  logSoftmax,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  ones,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  variance,
} from "@tsformers/engine";
import type { LossFunction } from "../../objectives/objective.ts";
import type { ActorCritic } from "./actor-critic.ts";
import { generalisedAdvantages, type Rewards } from "./advantages.ts";

/** γ, unless another is given. */
export const usualDiscount = 0.99;

export type PpoOptions = {
  /** γ. Default: 0.99. */
  readonly discount?: number;
  /** λ of the advantages. Default: 0.95. */
  readonly lambda?: number;
  /** ε: by how much the probability of an action may change before its gradient stops. Default: 0.2. */
  readonly clip?: number;
  /** Weight of the loss of values. Default: 0.5. */
  readonly valueWeight?: number;
  /** Weight of the policy's entropy. Default: 0.01. */
  readonly entropyWeight?: number;
};

/** A roll-out of T steps in B environments, as the policy that acted saw it. The rewards of a step that was cut off include what followed. */
export type RollOut = Rewards & {
  /** [B, T, features] */
  readonly observations: Tensor;
  /** 1 where an episode began, [B, T]. */
  readonly fresh: Tensor;
  /** int32 [B, T] */
  readonly actions: Tensor;
  /** log π(action), [B, T] */
  readonly logProbabilities: Tensor;
  /** What the rows remembered before the first step. */
  readonly memories: readonly unknown[];
};

/**
 * The loss of proximal policy optimisation: `−min(ρ·Â, clip(ρ, 1 − ε, 1 + ε)·Â)`, with `ρ = π(a)/π_old(a)` and advantages Â of mean 0
 * and deviation 1 over the roll-out, and beside it the named losses `value`, `½·(V − V_old − A)²`, and `entropy`, `−H(π)`, each with its
 * weight.
 *
 * @source Schulman et al. 2017, "Proximal Policy Optimization Algorithms", §3 and §5, arXiv:1707.06347
 */
export function ppoLoss<Params>(
  model: ActorCritic<Params>,
  options: PpoOptions = {},
): LossFunction<Params, Concrete<RollOut>> {
  const { discount = usualDiscount, lambda = 0.95, clip = 0.2, valueWeight = 0.5, entropyWeight = 0.01 } = options;
  requireShares({ discount, lambda, clip });
  return (params, batch, context) => {
    const { actions, logProbabilities, values: expected } = batch;
    const { logits, values, losses } = model.apply(params, batch, context);
    const advantages = generalisedAdvantages(batch, { discount, lambda });
    const logs = logSoftmax(logits);
    const taken = reshape(takeAlongAxis(logs, expandDims(actions, 2)), actions.shape);
    const ratio = exp(sub(taken, logProbabilities));
    const clipped = minimum(maximum(ratio, 1 - clip), 1 + clip);
    const weighed = standardised(advantages);
    const gain = minimum(mul(ratio, weighed), mul(clipped, weighed));
    const off = square(sub(values, add(expected, advantages)));
    const negativeEntropy = sum(mul(exp(logs), logs), { axes: -1 });
    return {
      total: neg(sum(gain)),
      weight: sum(ones(actions.shape)),
      losses: {
        ...losses,
        value: mul(mean(off), valueWeight / 2),
        entropy: mul(mean(negativeEntropy), entropyWeight),
      },
    };
  };
}

function standardised(x: Tensor): Tensor {
  return div(sub(x, mean(x)), add(sqrt(variance(x)), 1e-8));
}

function requireShares(shares: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(shares)) {
    if (value >= 0 && value <= 1) continue;
    throw new RangeError(`ppo: ${name} must be from 0 to 1, got ${value}`);
  }
}
