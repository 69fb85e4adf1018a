import { foldIn, type RandomKey, uniform } from "@tsformers/engine";

export type SamplingOptions = {
  /** Divisor of the logits; 0 always takes the most likely token. Default: 1. */
  readonly temperature?: number;
  /** Only the `topK` most likely tokens can be drawn. Default: all. */
  readonly topK?: number;
  /** Only the smallest set of most likely tokens with at least this total probability can be drawn. Default: 1. */
  readonly topP?: number;
  /** Tokens that are never drawn, such as the one for unknown characters. Default: none. */
  readonly forbiddenTokens?: readonly number[];
};

/** The logits allow no token to be drawn. */
export class LogitsError extends Error {
  override readonly name = "LogitsError";
}

/**
 * Checks that a token can be drawn: no logit is NaN or +∞, and at least one allowed token has a logit above −∞. A logit of −∞
 * excludes its token.
 *
 * @param place where the logits come from; the message begins with it
 * @throws LogitsError when none can be drawn
 */
export function requireLogits(logits: ArrayLike<number>, place: string, forbiddenTokens: readonly number[] = []): void {
  let open = false;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token]!;
    if (Number.isNaN(logit) || logit === Number.POSITIVE_INFINITY) {
      throw new LogitsError(
        `${place}: the model's logits are not finite (${logit} for token ${token}): some weights are not finite, or the computation overflows`,
      );
    }
    open ||= logit > Number.NEGATIVE_INFINITY && !forbiddenTokens.includes(token);
  }
  if (!open) throw new LogitsError(`${place}: no token is left to take, each is forbidden or has a logit of -Infinity`);
}

/** @throws RangeError when an option is invalid */
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
 * Forbidden tokens are removed first, then temperature is applied, then top-k, then top-p to the rest. Of equal logits the
 * lower token counts as more likely.
 *
 * @throws LogitsError when a logit is NaN or +∞, or no token is left
 * @source top-p: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", arXiv:1904.09751
 */
export function sample(logits: ArrayLike<number>, options: SamplingOptions, key: RandomKey, step: number): number {
  requireLogits(logits, `sample: step ${step}`, options.forbiddenTokens);
  return draw(logits, options, key, step);
}

/** {@link sample} without the check, for logits that were checked before. */
export function draw(logits: ArrayLike<number>, options: SamplingOptions, key: RandomKey, step: number): number {
  const { temperature = 1, topK = logits.length, topP = 1, forbiddenTokens = [] } = options;
  if (temperature === 0 || topK === 1) return largest(logits, forbiddenTokens);
  const forbidden = new Set(forbiddenTokens);
  const order = Array.from({ length: logits.length }, (_, token) => token).filter((token) => !forbidden.has(token));
  order.sort((a, b) => logits[b]! - logits[a]! || a - b);
  const weights = order.slice(0, topK).map((token) => Math.exp((logits[token]! - logits[order[0]!]!) / temperature));
  const likeliest = weights.slice(0, nucleus(weights, topP)).filter((weight) => weight > 0);
  let left = uniform(foldIn(key, step), [1]).item() * likeliest.reduce((a, b) => a + b, 0);
  const drawn = likeliest.findIndex((weight) => (left -= weight) < 0);
  return order[drawn < 0 ? likeliest.length - 1 : drawn]!;
}

/** How many of the weights, from the largest on, add up to a share of `topP`. */
function nucleus(weights: readonly number[], topP: number): number {
  if (topP >= 1) return weights.length;
  const enough = topP * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  const last = weights.findIndex((weight) => (sum += weight) >= enough);
  return last < 0 ? weights.length : last + 1;
}

/**
 * The token with the highest logit; of equal logits the lowest token.
 *
 * @throws LogitsError when a logit is NaN or +∞, or no token is left
 */
export function mostLikely(logits: ArrayLike<number>, forbiddenTokens: readonly number[] = []): number {
  requireLogits(logits, "mostLikely", forbiddenTokens);
  return largest(logits, forbiddenTokens);
}

function largest(logits: ArrayLike<number>, forbiddenTokens: readonly number[]): number {
  let best = -1;
  for (let token = 0; token < logits.length; token++) {
    const better = best < 0 || logits[token]! > logits[best]!;
    if (better && !forbiddenTokens.includes(token)) best = token;
  }
  return best;
}
