import { add, type Concrete, cast, matmul, slice, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { collect, ofHeads, spread } from "../attention/core/by-distance.ts";
import type { Positions, ScoreMod } from "../kinds/index.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { positionCount } from "../schema/count.ts";
import { perLayer } from "./per-layer.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

export type ShawParams = { key: Tensor; value?: Tensor };

export type ShawOptions = {
  readonly headWidth: number;
  /** k: larger distances, on either side, count as this one. */
  readonly maxDistance: number;
  /** Whether values get a vector by distance, too. Default: true. */
  readonly values?: boolean;
  readonly initial?: Initial;
};

const defaults = { values: true };

/**
 * A learned vector for each distance, added to the key and to the value that a query sees at that distance.
 *
 * `logits[b,h,t,s] = scale·q_t·(k_s + a^K_d)`, `y_t = Σ_s α_ts (v_s + a^V_d)`, with `d = clip(s − t, −k, k)`.
 *
 * No vector is stored per pair: queries are multiplied by each distance's vector and the products expanded to pairs; weights are summed by
 * distance and multiplied by the vectors.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S], weights [B, H, T, S] → [B, H, T, D]; key and value [2k + 1, D], the same for all
 *   heads, each layer has its own (`perLayer`)
 * @cost   O(B·H·T·min(S, 2k + T)·D) time, O(B·H·T·S) memory; 2·(2k + 1)·D parameters a layer
 * @source Shaw, Uszkoreit & Vaswani 2018, "Self-Attention with Relative Position Representations", §3, arXiv:1803.02155; k = 16
 */
export function shaw({
  headWidth,
  maxDistance,
  values = defaults.values,
  initial = normalInitial(),
}: ShawOptions): ScoreMod<ShawParams> {
  return {
    init: (random): Concrete<ShawParams> => {
      const [first, second] = splitKey(random, 2);
      const shape = [2 * maxDistance + 1, headWidth];
      const key = initial(first!, shape);
      return values ? { key, value: initial(second!, shape) } : { key };
    },
    prepare: ({ key, value }, positions) => ({
      logits: (logits, { query, scale }) =>
        add(logits, cast(productsByDistance(query, key, -maxDistance, { positions, scale }), logits.dtype)),
      ...(value !== undefined && {
        values: (weights: Tensor) =>
          collect(weights, positions, {
            low: -maxDistance,
            high: maxDistance,
            vectors: (from, to) => slice(value, -2, from + maxDistance, to + maxDistance),
          }),
      }),
    }),
  };
}

/**
 * Products of queries with a vector per distance, from `low` on, expanded to pairs.
 *
 * @shape  query [B, H, T, D], table [N, D] or [H, N, D] → [B, H, T, S]
 */
export function productsByDistance(
  query: Tensor,
  table: Tensor,
  low: number,
  { positions, scale }: { positions: Positions; scale: number },
): Tensor {
  const known = table.shape.length === 2 ? table : ofHeads(table, positions);
  return spread(positions, {
    low,
    high: low + table.shape.at(-2)! - 1,
    values: (from, to) =>
      matmul(query, cast(slice(known, -2, from - low, to - low), query.dtype), { transposeB: true, scale }),
  });
}

export type ShawSettings = { readonly maxDistance?: number; readonly values?: boolean };

export const shawEntry: PositionEntry<"shaw", ShawSettings> = /* @__PURE__ */ positionEntry({
  name: "shaw",
  title: "Shaw's relative positions",
  year: 2018,
  paper: "Shaw, Uszkoreit & Vaswani 2018, Self-Attention with Relative Position Representations, arXiv:1803.02155",
  category: "scores",
  summary: "a trained vector for each distance, added to the key and the value that a query sees there",
  formula: "logits = q_t·(k_s + a^K_d)/√D, y_t = Σ_s α_ts·(v_s + a^V_d), d = clip(s − t, −k, k)",
  cost: "2·(2k + 1)·D parameters a layer; O(B·H·T·min(S, T + 2k)·D) a layer",
  beyond: "defined: far distances share a vector",
  options: () =>
    z.strictObject({
      maxDistance: positionCount().default(16).describe("distances from here on share a vector"),
      values: z.boolean().default(defaults.values).describe("whether values, too, get a vector by distance"),
    }),
  make: (settings, { layers, modelWidth, heads }) => ({
    scores: perLayer(shaw({ headWidth: modelWidth / heads, ...settings }), layers),
  }),
});
