import { foldIn, type RandomKey, uniform } from "@tsformers/engine";

export type SamplingOptions = {
  /** Logits are divided by it; 0 always takes the most likely token. 1 unless told. */
  readonly temperature?: number;
  /** Only this many most likely tokens can be drawn. All unless told. */
  readonly topK?: number;
  /** Only the fewest most likely tokens that together have this probability can be drawn. 1 unless told. */
  readonly topP?: number;
};

/** @throws RangeError when an option makes no sense */
export function checkSampling({ temperature = 1, topK, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY))
    throw new RangeError(`sampling: expected a temperature of 0 or more, got ${temperature}`);
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1))
    throw new RangeError(`sampling: expected topK of 1 or more, got ${topK}`);
  if (!(topP > 0 && topP <= 1)) throw new RangeError(`sampling: expected topP above 0 and at most 1, got ${topP}`);
}

/**
 * Draws the token number `step` of a sequence. The same key, step and logits always give the same token.
 *
 * Temperature comes first, then top-k, then top-p on what is left; of equal logits the lower token counts as more likely.
 *
 * @source top-p: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", arXiv:1904.09751
 */
export function sample(logits: ArrayLike<number>, options: SamplingOptions, key: RandomKey, step: number): number {
  const { temperature = 1, topK = logits.length, topP = 1 } = options;
  if (temperature === 0 || topK === 1) return mostLikely(logits);
  const order = Array.from({ length: logits.length }, (_, token) => token);
  order.sort((a, b) => logits[b]! - logits[a]! || a - b);
  const likeliest = order.slice(0, topK);
  const weights = likeliest.map((token) => Math.exp((logits[token]! - logits[order[0]!]!) / temperature));
  const kept = nucleus(weights, topP);
  const total = weights.slice(0, kept).reduce((a, b) => a + b, 0);
  let left = uniform(foldIn(key, step), [1]).item() * total;
  for (let i = 0; i < kept; i++) {
    left -= weights[i]!;
    if (left < 0) return likeliest[i]!;
  }
  return likeliest[kept - 1]!;
}

/** How many of the weights, from the largest, together reach a share of `topP`. */
function nucleus(weights: readonly number[], topP: number): number {
  if (topP >= 1) return weights.length;
  const enough = topP * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  const last = weights.findIndex((weight) => (sum += weight) >= enough);
  return last < 0 ? weights.length : last + 1;
}

/** The token with the highest logit, the lowest of equals. */
export function mostLikely(logits: ArrayLike<number>): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  return best;
}
