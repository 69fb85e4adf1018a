import { runsOf } from "../core/runs.ts";
import type { Pattern } from "./pattern.ts";
import { addSpan, expectWhole } from "./span.ts";

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
