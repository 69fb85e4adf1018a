import { add, cast, concat, constant, less, mul, ndarray, slice, sum, type Tensor, zeros } from "@tsformers/engine";
import { chunkedCrossEntropies } from "../nn/chunked-cross-entropy.ts";
import { crossEntropies } from "../nn/cross-entropy.ts";
import type { WeightedLoss } from "../objectives/objective.ts";

export type AuxiliaryLossInput = {
  /** Outputs of layers 1 … N, [B, T, C]; the last one in the form that the model's own prediction uses. */
  readonly hidden: readonly Tensor[];
  /** Computes logits of the next symbol, the one after it, … from hidden states; shared by all layers. */
  readonly heads: readonly ((x: Tensor) => Tensor)[];
  /** The next symbol at each position, int32 [B, T]. */
  readonly targets: Tensor;
  /** Weights of the targets, [B, T]. */
  readonly weights: Tensor;
  /** Share of the training that is done, float32 scalar from 0 to 1. */
  readonly share: Tensor;
};

export type AuxiliaryLossOptions = {
  /** Weight of the losses of symbols after the next one. Default: 0.5. */
  readonly laterWeight?: number;
  /** Positions whose logits are in memory at a time. Default: all. */
  readonly chunkLength?: number;
};

/**
 * Al-Rfou's losses for deep stacks: every layer predicts at every position, and also symbols after the next one.
 *
 * `Σ_ℓ on_ℓ(share) · Σ_t w_t · (−log p_ℓ(target_t) + 0.5 · w_{t+1} · (−log p′_ℓ(target_{t+1})))`, over `Σ_t w_t`, with
 * `on` from {@link layersOn}. At the last position of a row there is no symbol after the target.
 *
 * @shape  hidden N × [B, T, C], targets and weights [B, T] → two scalars
 * @cost   a product of the head for each layer and target in every step, since static graphs cannot skip what has stopped
 * @source Al-Rfou et al. 2019, "Character-Level Language Modeling with Deeper Self-Attention", §3.2–3.4, arXiv:1808.04444
 */
export function auxiliaryLosses(input: AuxiliaryLossInput, options: AuxiliaryLossOptions = {}): WeightedLoss {
  const { hidden, heads, weights, share } = input;
  const { laterWeight = 0.5, chunkLength } = options;
  const on = layersOn(hidden.length, share);
  const rows = heads.map((head, distance) => {
    const targets = later(input.targets, distance);
    // A prediction counts only if both its position and its target are real.
    const counted = distance === 0 ? weights : mul(mul(weights, later(weights, distance)), laterWeight);
    return { head, targets, counted };
  });
  const losses = (x: Tensor, head: (x: Tensor) => Tensor, targets: Tensor) =>
    chunkLength === undefined
      ? crossEntropies(head(x), targets)
      : chunkedCrossEntropies(x, head, targets, { chunkLength });
  const ofLayer = (x: Tensor) =>
    rows.map(({ head, targets, counted }) => sum(mul(losses(x, head, targets), counted))).reduce((a, b) => add(a, b));
  const total = hidden.map((x, i) => mul(ofLayer(x), slice(on, 0, i, i + 1))).reduce((a, b) => add(a, b));
  return { total: sum(total), weight: sum(weights) };
}

/**
 * Which layers' losses are active: that of layer ℓ of N stops when the share `ℓ / 2N` of the training is done, that of the last layer
 * never stops. After half of the training only the last is left.
 *
 * @shape  share scalar → [N], 1 or 0
 * @source Al-Rfou et al. 2019, §3.3
 */
export function layersOn(layers: number, share: Tensor): Tensor {
  const ends = Array.from({ length: layers }, (_, i) => (i + 1 === layers ? 2 : (i + 1) / (2 * layers)));
  return cast(less(share, constant(ndarray(Float32Array.from(ends)))), "float32");
}

/** The values `distance` positions later; 0 beyond the end. @shape [B, T] → [B, T] */
function later(x: Tensor, distance: number): Tensor {
  if (distance === 0) return x;
  const [batch, length] = x.shape as [number, number];
  const kept = Math.max(length - distance, 0);
  return concat([slice(x, 1, length - kept, length), zeros([batch, length - kept], x.dtype)], 1);
}
