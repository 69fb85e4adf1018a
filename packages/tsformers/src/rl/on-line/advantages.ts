import {
  add,
  cast,
  concat,
  constant,
  cumsum,
  equal,
  expandDims,
  fromNumbers,
  matmul,
  mul,
  reshape,
  slice,
  sub,
  type Tensor,
} from "@tsformers/engine";

/** What a roll-out of B rows and T steps brought. */
export type Rewards = {
  /** [B, T] */
  readonly rewards: Tensor;
  /** 1 where the episode ended with this step, [B, T]. */
  readonly ends: Tensor;
  /** Of each observation, [B, T]. */
  readonly values: Tensor;
  /** Of the observation after the last step, [B]. */
  readonly lastValues: Tensor;
};

/**
 * Generalised advantage estimation: how much better than expected each action was.
 *
 * `A_t = Σ_{k ≥ t} (γλ)^{k−t} · δ_k` over the steps of one episode, with `δ_k = r_k + γ·V_{k+1} − V_k` and no `V_{k+1}` where the episode
 * ended. The sum is one product with the matrix of `(γλ)^{k−t}`, in which pairs of different episodes are 0.
 *
 * @shape → [B, T]
 * @source Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", eq. 16, arXiv:1506.02438
 */
export function generalisedAdvantages(
  given: Rewards,
  { discount, lambda }: { discount: number; lambda: number },
): Tensor {
  const { rewards, ends, values, lastValues } = given;
  const [rows, length] = rewards.shape as [number, number];
  const next = concat([slice(values, 1, 1), reshape(lastValues, [rows, 1])], 1);
  const errors = sub(add(rewards, mul(mul(next, sub(1, ends)), discount)), values);
  const episode = cumsum(ends, 1, { exclusive: true });
  const together = cast(equal(expandDims(episode, 2), expandDims(episode, 1)), "float32");
  const decays = Array.from({ length: length * length }, (_, i) => {
    const distance = (i % length) - Math.floor(i / length);
    return distance < 0 ? 0 : (discount * lambda) ** distance;
  });
  const weights = mul(together, constant(fromNumbers(decays, [length, length])));
  return reshape(matmul(weights, expandDims(errors, 2)), [rows, length]);
}
