import {
  add,
  cast,
  div,
  exp,
  greaterEqual,
  maximum,
  minimum,
  mul,
  reshape,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  type Tensor,
  topK,
} from "@tsformers/engine";
import type { ExitPlace, ExitRule } from "./adaptive-depth.ts";

/** How sure a layer is of a position that it changed from `before` to `after` [B, T, C]: float32 [B, T], 1 at most. */
export type Confidence = (before: Tensor, after: Tensor) => Tensor;

/**
 * The cosine between the states before and after a layer: where a layer changes little, later ones will hardly do more.
 *
 * @source Schuster et al. 2022, "Confident Adaptive Language Modeling", §3.4, arXiv:2207.07061
 */
export const saturation: Confidence = (before, after) => {
  const [a, b] = [cast(before, "float32"), cast(after, "float32")];
  const product = (x: Tensor, y: Tensor) => sum(mul(x, y), { axes: -1 });
  return div(product(a, b), maximum(sqrt(mul(product(a, a), product(b, b))), 1e-12));
};

/**
 * By how much the most likely token leads the next: the difference of their probabilities.
 *
 * @shape  logits [..., V] → float32 [...]
 * @source Schuster et al. 2022, §3.4
 */
export function softmaxResponse(logits: Tensor): Tensor {
  const two = topK(softmax(cast(logits, "float32")), 2).values;
  return reshape(sub(slice(two, -1, 0, 1), slice(two, -1, 1, 2)), logits.shape.slice(0, -1));
}

/** Probability of the most likely token: [..., V] → float32 [...]. Elbayad et al. 2020, §4.2, "confidence thresholding". */
export function largestProbability(logits: Tensor): Tensor {
  return reshape(topK(softmax(cast(logits, "float32")), 1).values, logits.shape.slice(0, -1));
}

/** From which confidence positions leave: the same everywhere, one for each layer but the last, or by position [T]. */
export type ExitThreshold = number | readonly number[] | ((positions: Tensor) => Tensor);

/**
 * Leave where the confidence reaches a threshold.
 *
 * @param confidence float32 [B, T]
 */
export function confident<Params = unknown>(
  confidence: (at: ExitPlace, params: Params) => Tensor,
  threshold: ExitThreshold,
  init?: ExitRule<Params>["init"],
): ExitRule<Params> {
  const from = ({ layer, positions }: ExitPlace) => {
    if (typeof threshold === "function") return threshold(positions);
    return typeof threshold === "number" ? threshold : threshold[layer - 1]!;
  };
  return {
    ...(init && { init }),
    leaves: (params, at) => greaterEqual(confidence(at, params), from(at)),
  };
}

/** The logits at an exit. @throws TypeError where the model has no head */
export function logitsAt({ logits }: ExitPlace): Tensor {
  if (logits === undefined) throw new TypeError("exits: this rule reads logits, and the model has no head of its own");
  return logits();
}

export type ThresholdDecay = {
  /** τ, how fast it falls. Default: 4. */
  readonly temperature?: number;
  /** N, the most positions that are written. */
  readonly length: number;
  /** Of the second term as well as of the first, the threshold is a factor, as in the authors' code. Default: only of the first. */
  readonly scaled?: true;
};

/**
 * A threshold that is stricter at first, since what is written early has an effect on all that follows:
 * `λ_t = 0.9·λ + 0.1·exp(−τ·t / N)`, within 0 and 1.
 *
 * @shape  positions [T] → [T]
 * @source Schuster et al. 2022, §3.5, eq. 4
 */
export function decayingThreshold(
  threshold: number,
  { temperature = 4, length, scaled }: ThresholdDecay,
): (positions: Tensor) => Tensor {
  return (positions) => {
    const early = exp(mul(cast(positions, "float32"), -temperature / length));
    const falling = add(mul(early, scaled ? 0.1 * threshold : 0.1), 0.9 * threshold);
    return minimum(maximum(falling, 0), 1);
  };
}
