import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { runsOf } from "../core/runs.ts";
import { inFront, type Order } from "./order.ts";
import { fullPattern, type Pattern, causal as past, type Runs } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";

export type GlobalOptions = {
  /** Global positions in any order; those past the end of a sequence are ignored. */
  readonly positions: readonly number[];
  readonly causal: boolean;
};

/**
 * Global tokens: they see all, and all see them. Other pairs are hidden: combine it by `union` with a pattern of neighbours.
 *
 * `S_i = everything for i ∈ G, G otherwise`; causal: only keys up to i.
 *
 * @cost   2·n·g pairs
 * @source Beltagy, Peters & Cohan 2020, "Longformer", §3.1, arXiv:2004.05150
 */
export function globalTokens({ positions, causal }: GlobalOptions): Pattern {
  for (const position of positions) expectWhole("global", "positions", position);
  const all = new Set(positions);
  const runs = runsOf(positions);
  const everything = causal ? past : fullPattern;
  const order = globalsFirst(positions);
  return {
    name: `global ${runsText(runs)}`,
    keys: (query, length) => {
      if (all.has(query)) return everything.keys(query, length);
      const seen: number[] = [];
      const end = causal ? Math.min(query + 1, length) : length;
      for (let i = 0; i < runs.length; i += 2) addSpan(seen, runs[i]!, Math.min(end, runs[i + 1]!));
      return seen;
    },
    ...present({ order }),
  };
}

/**
 * Order with the global tokens in front: their queries form one block that sees all, and their keys one run. Undefined where they
 * are in front already.
 */
export function globalsFirst(positions: readonly number[], rest?: Order, rule = ""): Order | undefined {
  const runs = runsOf(positions);
  const inPlace = runs.length === 0 || (runs.length === 2 && runs[0] === 0);
  if (inPlace && rest === undefined) return undefined;
  const all = new Set(positions);
  return inFront(`globals ${runs.join(" ")} ${rule}`, (position) => all.has(position), rest);
}

function runsText(runs: Runs): string {
  const parts: string[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    parts.push(runs[i + 1]! - runs[i]! === 1 ? `${runs[i]}` : `${runs[i]}…${runs[i + 1]! - 1}`);
  }
  return parts.length === 0 ? "none" : parts.join(", ");
}

export type GlobalTokensSettings = { readonly positions?: readonly number[] };

export const globalEntry: PatternEntry<"global", GlobalTokensSettings> = /* @__PURE__ */ patternEntry({
  name: "global",
  title: "Global tokens",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "a few positions see all and are seen by all; alone no more than that",
  formula: "S_i = everything for i ∈ G, G otherwise",
  cost: "2·n·g pairs",
  exponent: 1,
  directions: ["bidirectional", "causal"],
  options: () =>
    z.strictObject({
      positions: z.array(positionCount(0)).default([0]).describe("positions that see all and are seen by all"),
    }),
  make: ({ positions }, { causal }) => always(globalTokens({ positions, causal })),
});
