import { causal, headsOf, type Pattern, type Runs } from "./pattern.ts";

/** Which earlier positions later queries still see: what the decode state must keep. */
export type Reach = {
  /** How many positions back queries see, besides the pinned positions. */
  readonly window: number;
  /** Positions that are seen from farther away, in ascending order. */
  readonly pinned: readonly number[];
  /** Whether every head of every query sees exactly itself and the `window` positions before it. */
  readonly isWindow: boolean;
};

/** The most pinned positions: each has a permanent slot, so beyond this number keys are kept like all others. */
const mostPinned = 256;

/**
 * How far back the positions of a sequence of up to `length` see under a causal pattern, computed from the pattern itself: a key
 * must be kept until no later query sees it. The reach is the whole length where the pattern has no bound.
 *
 * Positions are pinned if that at least halves what must be kept.
 *
 * @cost   one call of `pattern.keys` for each position and head that differs
 * @throws RangeError when the pattern shows a position what comes after it
 */
export function reachOf(pattern: Pattern, length: number): Reach {
  if (pattern === causal) return { window: length - 1, pinned: [], isWindow: true };
  const heads = [...new Set(headsOf(pattern))];
  // The last query sees its whole window.
  const width = length - 1 - (heads[0]!.keys(length - 1, length)[0] ?? length - 1);
  let isWindow = true;
  // Going back from the last query, the first one found to see a key is the last that does: `next` skips keys already found.
  const next = Int32Array.from({ length: length + 1 }, (_, key) => key);
  const distances = new Int32Array(length);
  for (let query = length - 1; query >= 0; query--) {
    for (const own of heads) {
      const runs = own.keys(query, length);
      if ((runs.at(-1) ?? 0) > query + 1) {
        throw new RangeError(`${pattern.name}: cannot decode, position ${query} sees what comes after it`);
      }
      isWindow &&= isSpan(runs, Math.max(0, query - width), query + 1);
      for (let i = 0; i < runs.length; i += 2) {
        for (let key = follow(next, runs[i]!); key < runs[i + 1]!; key = follow(next, key)) {
          distances[key] = query - key;
          next[key] = key + 1;
        }
      }
    }
  }
  const window = distances.reduce((a, b) => Math.max(a, b), 0);
  const near = nearest(distances);
  if (2 * near.room > window + 1) return { window, pinned: [], isWindow };
  const pinned = [...distances.keys()].filter((key) => distances[key]! > near.window);
  return { window: near.window, pinned, isWindow: false };
}

function isSpan(runs: Runs, from: number, to: number): boolean {
  return runs.length === 2 && runs[0] === from && runs[1] === to;
}

/** End of a chain of links; shortens the chain for the next lookup. */
function follow(next: Int32Array, start: number): number {
  let end = start;
  while (next[end] !== end) end = next[end]!;
  for (let at = start; at !== end; ) {
    const then = next[at]!;
    next[at] = end;
    at = then;
  }
  return end;
}

/** The window that needs the least room, together with the positions that must be pinned because they are seen from farther away. */
function nearest(distances: Int32Array): { readonly window: number; readonly room: number } {
  const beyond = new Int32Array(distances.length + 1);
  for (const distance of distances) beyond[distance]!++;
  let best = { window: distances.length - 1, room: distances.length };
  for (let window = distances.length - 1, pinned = 0; window >= 0 && pinned <= mostPinned; window--) {
    const room = window + 1 + pinned;
    if (room < best.room) best = { window, room };
    pinned += beyond[window]!;
  }
  return best;
}
