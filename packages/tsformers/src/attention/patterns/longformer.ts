import * as z from "zod";
import { positionCount } from "../../schema/count.ts";
import { perHead, union } from "./combine.ts";
import { dilatedWindow } from "./dilated.ts";
import { globalsFirst, globalTokens } from "./global.ts";
import { byResidue, laidOut } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { type PatternEntry, patternEntry } from "./pattern-entry.ts";
import { expectWhole } from "./span.ts";
import { eighthOf } from "./usual-sizes.ts";

export type LongformerOptions = {
  /** w: w/2 neighbours on each side; causal: w positions before the query. */
  readonly window: number;
  readonly globals: readonly number[];
  readonly causal: boolean;
  /** Distance between neighbours, per head; with more heads they repeat. Default: 1 in all heads. */
  readonly dilations?: readonly number[];
};

const defaults = { dilations: [1], dilatedFrom: 0 };

/**
 * Longformer's pattern: a sliding window, dilated in some heads, and global tokens.
 *
 * `S_i = {j : |i − j| ≤ w/2} ∪ G` for i ∉ G, everything for i ∈ G. A window of w covers w + 1 keys, the query included.
 *
 * @cost   O(n·(w + 2·g)) pairs
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §3.1, arXiv:2004.05150
 * @differs this is the pattern only; separate projections for global tokens are part of the mixer, {@link longformerAttention}
 * @throws RangeError when `window` is odd and not causal
 */
export function longformer(options: LongformerOptions): Pattern {
  const { dilations = defaults.dilations } = options;
  const made = new Map([...new Set(dilations)].map((dilation) => [dilation, oneHead(options, dilation)]));
  return made.size === 1 ? [...made.values()][0]! : perHead(dilations.map((dilation) => made.get(dilation)!));
}

function oneHead({ window, globals, causal }: LongformerOptions, dilation: number): Pattern {
  expectWhole("longformer", "window", window);
  if (!causal && window % 2 !== 0) {
    throw new RangeError(`longformer: expected an even window, half of it on each side, got ${window}`);
  }
  const sides = causal ? { before: window, after: 0 } : { before: window / 2, after: window / 2 };
  const near = dilatedWindow({ ...sides, dilation });
  if (globals.length === 0) return near;
  const whole = union(near, globalTokens({ positions: globals, causal }));
  // One order for both: two parts would need two softmaxes and a merge.
  const order = globalsFirst(globals, dilation === 1 ? undefined : byResidue(dilation), `residue ${dilation}`);
  return order === undefined ? whole : laidOut(whole, order);
}

export type LongformerLayersOptions = Omit<LongformerOptions, "window"> & {
  /** A window per layer, the paper's language models having small ones in lower layers; the last one holds for all further layers. */
  readonly windows: readonly number[];
  /** The first layer with dilated heads. Default: 0. */
  readonly dilatedFrom?: number;
};

/**
 * Longformer's pattern for each layer of a stack.
 *
 * @throws RangeError when `windows` is empty
 */
export function longformerLayers(options: LongformerLayersOptions): (layer: number) => Pattern {
  const { windows, dilations = defaults.dilations, dilatedFrom = defaults.dilatedFrom, ...rest } = options;
  if (windows.length === 0) throw new RangeError("longformer: expected at least one window, got none");
  const made = new Map<string, Pattern>();
  return (layer) => {
    const own = {
      window: windows[Math.min(layer, windows.length - 1)]!,
      dilations: layer < dilatedFrom ? [1] : dilations,
    };
    const key = JSON.stringify(own);
    const pattern = made.get(key) ?? longformer({ ...rest, ...own });
    made.set(key, pattern);
    return pattern;
  };
}

export type LongformerSettings = {
  readonly window?: number;
  readonly windows?: readonly number[];
  readonly globals?: readonly number[];
  readonly dilations?: readonly number[];
  readonly dilatedFrom?: number;
};

export const longformerEntry: PatternEntry<"longformer", LongformerSettings> = /* @__PURE__ */ patternEntry({
  name: "longformer",
  title: "Longformer's pattern",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "a sliding window, with gaps in some heads, and global tokens",
  formula: "S_i = {j : |i − j| ≤ w/2} ∪ G, everything for i ∈ G",
  cost: "n·(w + 2·g) pairs",
  exponent: 1,
  directions: ["bidirectional", "causal"],
  options: () =>
    z.strictObject({
      window: positionCount()
        .optional()
        .describe("w, neighbours on both sides together. Default: an eighth of the length, at most 512"),
      windows: z
        .array(positionCount())
        .min(1)
        .optional()
        .describe("w of each layer instead; the last holds for further ones. Default: w in all layers"),
      globals: z.array(positionCount(0)).default([0]).describe("positions that see all and are seen by all"),
      dilations: z
        .array(positionCount())
        .min(1)
        .default(defaults.dilations)
        .describe("distance between neighbours, for each head in turn"),
      dilatedFrom: positionCount(0).default(defaults.dilatedFrom).describe("the first layer with such distances"),
    }),
  make: ({ window, windows, ...rest }, { length, causal }) => {
    const standard = 2 * Math.max(1, Math.round(eighthOf(length, 512) / 2));
    return longformerLayers({ windows: windows ?? [window ?? standard], causal, ...rest });
  },
});
