import { or, perHead } from "./combine.ts";
import { dilatedWindow } from "./dilated.ts";
import { globalsFirst, globalTokens } from "./global.ts";
import { byResidue, laidOut } from "./order.ts";
import type { Pattern } from "./pattern.ts";
import { expectWhole } from "./span.ts";

export type LongformerOptions = {
  /** w: w/2 neighbours on each side; causal: w positions before the query. */
  readonly window: number;
  readonly globals: readonly number[];
  readonly causal: boolean;
  /** Distance between neighbours, per head; with more heads they repeat. Default: 1 in all heads. */
  readonly dilations?: readonly number[];
};

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
