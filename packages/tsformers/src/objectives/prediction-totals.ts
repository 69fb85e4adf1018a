import { and, argmax, cast, equal, greater, mul, not, sum, type Tensor } from "@tsformers/engine";
import { crossEntropies } from "../nn/cross-entropy.ts";
import type { BatchTotals } from "./objective.ts";

/**
 * How well logits predict the targets whose weight is above 0.
 *
 * @shape logits [B, T, V], targets int32 [B, T], weights float32 [B, T]
 */
export function predictionTotals(logits: Tensor, targets: Tensor, weights: Tensor): BatchTotals {
  const right = equal(cast(argmax(logits), "int32"), targets);
  return scoredTotals(crossEntropies(logits, targets), right, weights);
}

/**
 * Totals of predictions that are known to be right or wrong.
 *
 * @shape losses float32 [B, T], right bool [B, T], weights float32 [B, T]
 */
export function scoredTotals(losses: Tensor, right: Tensor, weights: Tensor): BatchTotals {
  const scored = greater(weights, 0);
  const count = (mask: Tensor): Tensor => sum(cast(mask, "float32"));
  const scoredInRow = sum(cast(scored, "float32"), { axes: -1 });
  const wrongInRow = sum(cast(and(scored, not(right)), "float32"), { axes: -1 });
  return {
    lossSum: sum(mul(losses, weights)),
    tokens: sum(weights),
    correct: count(and(scored, right)),
    rows: count(greater(scoredInRow, 0)),
    exactRows: count(and(greater(scoredInRow, 0), equal(wrongInRow, 0))),
  };
}
