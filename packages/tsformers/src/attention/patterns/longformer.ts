import { or, perHead } from "./combine.ts";
import { dilatedWindow } from "./dilated.ts";
import { globalsFirst, globalTokens } from "./global.ts";
import { byResidue, laidOut } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { expectWhole } from "./span.ts";

export type LongformerOptions = {
  /** w: w/2 neighbours on each side, w before the query in the causal form. */
  readonly window: number;
  readonly globals: readonly number[];
  readonly causal: boolean;
  /** Distance between neighbours, for each head; with more heads they repeat. 1 unless told. */
  readonly dilations?: readonly number[];
};

/**
 * Longformer's pattern: a sliding window, with gaps in some heads, and global tokens.
 *
 * `S_i = {j : |i − j| ≤ w/2} ∪ G` for i ∉ G, everything for i ∈ G. A window of w shows w + 1 keys, the query among them.
 *
 * @cost   O(n·(w + 2·g)) pairs
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §3.1, arXiv:2004.05150
 * @differs the pattern only: queries and keys of global tokens may have projections of their own, which is a mixer's matter
 * @throws RangeError when `window` is odd and not causal
 */
export function longformer(options: LongformerOptions): Pattern {
  const { dilations = [1] } = options;
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
  const whole = or(near, globalTokens({ positions: globals, causal }));
  // One order for both: a part for each would be two softmaxes to merge.
  const order = globalsFirst(globals, dilation === 1 ? undefined : byResidue(dilation), `residue ${dilation}`);
  return order === undefined ? whole : laidOut(whole, order);
}

export type LongformerLayersOptions = Omit<LongformerOptions, "window"> & {
  /** A window for each layer, narrow ones below in the paper's language models; the last one holds for all further layers. */
  readonly windows: readonly number[];
  /** The first layer whose heads have gaps; 0 unless told. */
  readonly dilatedFrom?: number;
};

/**
 * Longformer over a stack of layers.
 *
 * @throws RangeError for no window
 */
export function longformerLayers(options: LongformerLayersOptions): (layer: number) => Pattern {
  const { windows, dilations = [1], dilatedFrom = 0, ...rest } = options;
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
