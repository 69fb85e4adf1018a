import { bernoulli, foldKey, mul, type Tensor, where } from "@tsformers/engine";
import type { Context } from "../kinds/layer.ts";

/**
 * Zeroes each element with probability `rate` and scales the others by `1 / (1 − rate)`. The identity in evaluation.
 *
 * @param site name of the place in the model, so that two places of one pass drop different elements
 * @source Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting"
 */
export function dropout(x: Tensor, rate: number, { key }: Context, site: string): Tensor {
  if (rate === 0 || key === undefined) return x;
  const keep = bernoulli(foldKey(key, siteNumber(site)), 1 - rate, x.shape);
  return where(keep, mul(x, 1 / (1 - rate)), 0);
}

/** The context of a part of the model, whose dropout differs from that of every other part. */
export function within(context: Context, part: string | number): Context {
  return context.key === undefined ? context : { ...context, key: foldKey(context.key, siteNumber(String(part))) };
}

/** FNV-1a hash, 31 bits. */
function siteNumber(site: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < site.length; i++) hash = Math.imul(hash ^ site.charCodeAt(i), 0x01000193);
  return hash & 0x7fffffff;
}
