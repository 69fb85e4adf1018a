import { abs, add, cast, constant, expandDims, greater, mul, ndarray, neg, reshape, where } from "@tsformers/engine";
import * as z from "zod";
import { distances, ofHeads } from "../attention/core/by-distance.ts";
import { hidden } from "../attention/core/query-block.ts";
import type { ScoreMod } from "../kinds/index.ts";
import type { NoSettings } from "../schema/entry.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

export type AlibiOptions = {
  /** Exponent of the slopes, see {@link alibiSlopes}. Default: 8. */
  readonly exponent?: number;
  /**
   * Even heads look back and odd heads ahead, each including the query itself, so that both directions have all slopes and heads can
   * distinguish them. Absent: every head treats both directions alike.
   */
  readonly perDirection?: true;
};

/**
 * Linear position bias: each head lowers a logit in proportion to the distance.
 *
 * `logits[b,h,t,s] −= slope[h] · |t − s|`; under a causal pattern `|t − s|` is `t − s`.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   O(B·H·T·S) time, no parameters
 * @source Press, Smith & Lewis 2022, "Train Short, Test Long", §3, arXiv:2108.12409
 */
export function alibi(heads: number, { exponent, perDirection }: AlibiOptions = {}): ScoreMod<Record<string, never>> {
  const each = Array.from({ length: heads }, (_, head) => head);
  const half = alibiSlopes(Math.ceil(heads / 2), exponent);
  const slopes = ndarray(perDirection ? each.map((head) => half[Math.floor(head / 2)]!) : alibiSlopes(heads, exponent));
  const signs = ndarray(each.map((head) => (head % 2 === 0 ? 1 : -1)));
  return {
    init: () => ({}),
    prepare: (_, positions) => {
      const ahead = cast(distances(positions), "float32");
      const distance = ahead.shape.length === 2 ? ahead : expandDims(ahead, 1);
      const slope = reshape(ofHeads(constant(slopes), positions), [-1, 1, 1]);
      const bias = mul(abs(distance), neg(slope));
      if (!perDirection) return { logits: (logits) => add(logits, bias) };
      const sign = reshape(ofHeads(constant(signs), positions), [-1, 1, 1]);
      const seen = where(greater(mul(distance, sign), 0), hidden, bias);
      return { logits: (logits) => add(logits, seen) };
    },
  };
}

/**
 * Slopes of ALiBi: `slope[h] = 2^(−exponent·(h+1)/H)` for H a power of two; otherwise the slopes of the next smaller power of two, followed
 * by every second one of twice that number, as in the authors' code.
 *
 * @param exponent Default: 8
 */
export function alibiSlopes(heads: number, exponent = 8): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number) => Array.from({ length: count }, (_, h) => 2 ** ((-exponent * (h + 1)) / count));
  const between = series(2 * power).filter((_, h) => h % 2 === 0);
  return [...series(power), ...between.slice(0, heads - power)];
}

export const alibiEntry: PositionEntry<"alibi", NoSettings> = /* @__PURE__ */ positionEntry({
  name: "alibi",
  title: "ALiBi",
  year: 2022,
  paper: "Press, Smith & Lewis 2022, Train Short, Test Long, arXiv:2108.12409",
  category: "scores",
  summary:
    "logits fall linearly with distance, at a slope for each head; where all see all, heads look back and ahead in turn",
  formula: "logits[h,t,s] −= 2^(−8(h+1)/H)·|t − s|",
  cost: "no parameters; O(B·H·T·S) a layer",
  beyond: "holds its loss at many times the training length",
  options: () => z.strictObject({}),
  make: (_, { heads, causal }) => ({ scores: alibi(heads, causal ? {} : { perDirection: true }) }),
});
