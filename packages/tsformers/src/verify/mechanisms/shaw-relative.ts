import { add, constant, fromNumbers, iota } from "@tsformers/engine";
import * as z from "zod";
import { attend } from "../../attention/core/executor.ts";
import { makeView } from "../../attention/core/view.ts";
import { fullPattern, type Pattern } from "../../attention/patterns/pattern.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { shaw } from "../../position/shaw.ts";

const options = z.strictObject({ k: z.int().nonnegative(), causal: z.boolean() });

/**
 * Shaw's relative positions: q [B, H, T, D], k and v [B, H, S, D], rel_k [2k + 1, D] and optional rel_v, where queries are the last T
 * of S positions.
 */
export const shawRelative: Mechanism = {
  run({ q, k, v, rel_k: key, rel_v: value }, given) {
    const { k: maxDistance, causal } = options.parse(given);
    const [queries, keys, headWidth] = [q!.shape[2]!, k!.shape[2]!, q!.shape[3]!];
    const scheme = shaw({ headWidth, maxDistance, values: value !== undefined });
    const params = value === undefined ? { key: key! } : { key: key!, value };
    const view = makeView({
      pattern: causal ? lastQueries(keys - queries) : fullPattern,
      queries,
      keys,
      ...lastPositions(queries, keys),
      scores: (positions) => scheme.prepare(params, positions),
    });
    const scale = 1 / Math.sqrt(headWidth);
    const { mixed, map } = attend(q!, { key: k!, value: v! }, { view, scale, context: evaluation });
    return { out: mixed, probs: map().weights };
  },
};

/** Causal pattern whose first query is at position `offset`. */
export function lastQueries(offset: number): Pattern {
  return { name: "causal", keys: (query, length) => [0, Math.min(query + offset + 1, length)] };
}

/** Positions of queries that are the last ones among the keys. */
export function lastPositions(queries: number, keys: number): Pick<Parameters<typeof makeView>[0], "positions"> {
  if (queries === keys) return {};
  return {
    positions: { query: add(iota(queries), constant(fromNumbers([keys - queries], [], "int32"))), key: iota(keys) },
  };
}
