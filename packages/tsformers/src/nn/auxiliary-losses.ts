import {
  add,
  cast,
  concat,
  constant,
  div,
  less,
  maximum,
  mul,
  ndarray,
  slice,
  sum,
  type Tensor,
  zeros,
} from "@tsformers/engine";
import { chunkedCrossEntropies } from "./chunked-cross-entropy.ts";
import { crossEntropies } from "./cross-entropy.ts";

export type AuxiliaryLossInput = {
  /** Outputs of layers 1 … N, [B, T, C]; the last one in the form that the model's own prediction uses. */
  readonly hidden: readonly Tensor[];
  /** Computes logits of the next symbol, the one after it, … from the hidden states of a layer, the first one being 0. */
  readonly heads: readonly ((x: Tensor, layer: number) => Tensor)[];
  /** The next symbol at each position, int32 [B, T]. */
  readonly targets: Tensor;
  /** Weights of the targets, [B, T]. */
  readonly weights: Tensor;
  /** Share of the training that is done, float32 scalar from 0 to 1. */
  readonly progress: Tensor;
};

export type AuxiliaryLossOptions = {
  /** Weight of the losses of symbols after the next one. Default: 0.5. */
  readonly laterWeight?: number;
  /** Positions whose logits are in memory at a time. Default: all. */
  readonly chunkLength?: number;
};

/** Means over the weights of the targets, float32 []. */
export type AuxiliaryLosses = {
  /** Of the next symbol, from every layer but the last, whose loss is the model's own. */
  readonly layers: Tensor;
  /** Of the symbols after it, from every layer. */
  readonly later: Tensor;
};

/**
 * Al-Rfou's losses for deep stacks: every layer predicts at every position, and also symbols after the next one.
 *
 * `layers = Σ_{ℓ<N} on_ℓ · mean_t(−log p_ℓ(target_t))`, `later = Σ_ℓ on_ℓ · 0.5 · mean_t(−log p′_ℓ(target_{t+1}))`, with `on` from
 * {@link layersOn}. At the last position of a row there is no symbol after the target.
 *
 * @shape  hidden N × [B, T, C], targets and weights [B, T] → two scalars
 * @cost   a product of the head for each layer and target in every step, since static graphs cannot skip what has stopped
 * @source Al-Rfou et al. 2019, "Character-Level Language Modeling with Deeper Self-Attention", §3.2–3.4, arXiv:1808.04444
 */
export function auxiliaryLosses(input: AuxiliaryLossInput, options: AuxiliaryLossOptions = {}): AuxiliaryLosses {
  const { hidden, heads, weights, progress } = input;
  const { laterWeight = 0.5, chunkLength } = options;
  const on = layersOn(hidden.length, progress);
  const weight = maximum(sum(weights), 1e-6);
  /** Of the symbol so many positions after the next one, from a layer. */
  const meanLoss = (layer: number, distance: number): Tensor => {
    const targets = later(input.targets, distance);
    // A prediction counts only if both its position and its target are real.
    const counted = distance === 0 ? weights : mul(mul(weights, later(weights, distance)), laterWeight);
    const toLogits = (x: Tensor) => heads[distance]!(x, layer);
    const losses =
      chunkLength === undefined
        ? crossEntropies(toLogits(hidden[layer]!), targets)
        : chunkedCrossEntropies(hidden[layer]!, toLogits, targets, { chunkLength });
    return mul(div(sum(mul(losses, counted)), weight), sum(slice(on, 0, layer, layer + 1)));
  };
  const layers = hidden.map((_, layer) => layer);
  return {
    layers: total(layers.slice(0, -1).map((layer) => meanLoss(layer, 0))),
    later: total(heads.slice(1).flatMap((_, i) => layers.map((layer) => meanLoss(layer, i + 1)))),
  };
}

/**
 * Which layers' losses are active: that of layer ℓ of N stops when the share `ℓ / 2N` of the training is done, that of the last layer
 * never stops. After half of the training only the last is left.
 *
 * @shape  progress scalar → [N], 1 or 0
 * @source Al-Rfou et al. 2019, §3.3
 */
export function layersOn(layers: number, progress: Tensor): Tensor {
  const ends = Array.from({ length: layers }, (_, i) => (i + 1 === layers ? 2 : (i + 1) / (2 * layers)));
  return cast(less(progress, constant(ndarray(Float32Array.from(ends)))), "float32");
}

function total(losses: readonly Tensor[]): Tensor {
  return losses.reduce((a, b) => add(a, b), zeros([]));
}

/** The values `distance` positions later; 0 beyond the end. @shape [B, T] → [B, T] */
function later(x: Tensor, distance: number): Tensor {
  if (distance === 0) return x;
  const [batch, length] = x.shape as [number, number];
  const kept = Math.max(length - distance, 0);
  return concat([slice(x, 1, length - kept, length), zeros([batch, length - kept], x.dtype)], 1);
}
