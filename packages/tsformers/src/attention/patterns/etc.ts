import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { runsOf } from "../core/runs.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { always } from "./per-layer.ts";
import { addSpan, expectWhole } from "./span.ts";
import { eighthOf } from "./usual-sizes.ts";

export type EtcOptions = {
  /** g: how many leading positions form the global input. */
  readonly globals: number;
  /** r: how far long positions see to each side. */
  readonly radius: number;
  /** The segment of each long position: global token s then sees only long positions of segment s. Default: global tokens see all. */
  readonly segments?: ArrayLike<number>;
};

/**
 * ETC's pattern over the concatenation [global ‖ long] of its two inputs: four parts, under one softmax for each query.
 *
 * Global to global: all. Global to long: all, or only its segment. Long to global: all. Long to long: `|i − j| ≤ r`.
 *
 * @cost   O(n_g·(n_g + n_l) + n_l·(n_g + 2·r + 1)) pairs
 * @source Ainslie et al. 2020, "ETC: Encoding Long and Structured Inputs in Transformers", §2.2, arXiv:2004.08483
 */
export function etc({ globals, radius, segments }: EtcOptions): Pattern {
  expectWhole("etc", "globals", globals);
  expectWhole("etc", "radius", radius);
  const members = new Map<number, number[]>();
  Array.from(segments ?? []).forEach((segment, long) => {
    const keys = members.get(segment) ?? [];
    members.set(segment, keys);
    keys.push(globals + long);
  });
  const longOf = new Map([...members].map(([segment, keys]) => [segment, runsOf(keys)]));
  return {
    name: `ETC (${globals} global, radius ${radius}${segments === undefined ? "" : ", by segment"})`,
    keys: (query, length) => {
      const runs: number[] = [];
      addSpan(runs, 0, Math.min(globals, length));
      if (query >= globals) addSpan(runs, Math.max(0, query - radius), Math.min(length, query + radius + 1));
      else if (segments === undefined) addSpan(runs, 0, length);
      else {
        const own = longOf.get(query) ?? [];
        for (let i = 0; i < own.length; i += 2) addSpan(runs, own[i]!, Math.min(length, own[i + 1]!));
      }
      return runs;
    },
  };
}

export type EtcSettings = {
  readonly globals?: number;
  readonly radius?: number;
  readonly segments?: readonly number[];
};

export const etcEntry: PatternEntry<"etc", EtcSettings> = /* @__PURE__ */ patternEntry({
  name: "etc",
  title: "ETC's pattern",
  year: 2020,
  paper: "Ainslie et al. 2020, ETC: Encoding Long and Structured Inputs in Transformers, arXiv:2004.08483",
  summary: "a global input that sees all, and a long one that sees it and its neighbours",
  formula: "[global ‖ long]: g→g, g→l and l→g all, l→l {j : |i − j| ≤ r}",
  cost: "n_g·(n_g + n_l) + n_l·(n_g + 2·r + 1) pairs",
  exponent: 1,
  directions: ["bidirectional"],
  options: () =>
    z.strictObject({
      globals: positionCount(0)
        .optional()
        .describe("positions in front that are the global input. Default: a sixteenth of the length, at most 256"),
      radius: positionCount(0)
        .optional()
        .describe("how far long positions see. Default: a sixteenth of the length, at most 84"),
      segments: z
        .array(positionCount(0))
        .optional()
        .describe(
          "the segment of each long position: global token s then sees only long positions of segment s. Default: it sees all",
        ),
    }),
  make: ({ globals, radius, segments }, { length }) =>
    always(
      etc({
        globals: globals ?? eighthOf(length / 2, 256),
        radius: radius ?? eighthOf(length / 2, 84),
        ...present({ segments }),
      }),
    ),
});
