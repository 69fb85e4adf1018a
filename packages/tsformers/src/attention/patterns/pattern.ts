import { fromNumbers, type NDArray } from "@tsformers/engine";
import * as z from "zod";
import type { Pattern } from "../../kinds/index.ts";
import type { NoSettings } from "../../schema/entry.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";

export type { Pattern, Runs } from "../../kinds/index.ts";

/** Every position sees every position. */
export const fullPattern: Pattern = { name: "full", keys: (_, length) => [0, length] };

/** A position sees itself and what came before. */
export const causal: Pattern = { name: "causal", keys: (query, length) => [0, Math.min(query + 1, length)] };

/** The patterns of the heads; a single one where all heads have the same. */
export function headsOf(pattern: Pattern): readonly Pattern[] {
  return pattern.heads ?? [pattern];
}

/** The pattern as a dense mask: bool [heads that differ, queries, keys], the oracle of the other readers. */
export function denseMask(pattern: Pattern, queries: number, keys: number = queries): NDArray {
  const heads = headsOf(pattern);
  const cells = new Uint8Array(heads.length * queries * keys);
  heads.forEach((own, head) => {
    for (let query = 0; query < queries; query++) {
      const runs = own.keys(query, keys);
      const row = (head * queries + query) * keys;
      for (let i = 0; i < runs.length; i += 2) cells.fill(1, row + runs[i]!, row + Math.min(runs[i + 1]!, keys));
    }
  });
  return fromNumbers(cells, [heads.length, queries, keys], "bool");
}

export const fullEntry: PatternEntry<"full", NoSettings> = /* @__PURE__ */ patternEntry({
  name: "full",
  title: "Full attention",
  year: 2017,
  paper: "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
  summary: "every position sees every position, or all before it",
  formula: "S_i = {0, …, n − 1}, causal {0, …, i}",
  cost: "n² pairs, causal n²/2",
  exponent: 2,
  directions: ["causal", "bidirectional"],
  options: () => z.strictObject({}),
  make: (_, context) => always(context.causal ? causal : fullPattern),
});
