import {
  add,
  concat,
  greater,
  matmul,
  max,
  reshape,
  slice,
  split,
  stopGradient,
  type Tensor,
  takeAlongAxis,
  topK,
  where,
} from "@tsformers/engine";
import { hidden } from "../attention/core/query-block.ts";

export type NearestOptions = {
  /** k: how many keys each query gets. */
  readonly count: number;
  /** Whether a key may be found, bool [B, E]. */
  readonly seen: Tensor;
  /** The most scores in memory at a time. Default: 2²², 16 MiB. */
  readonly scoresAtATime?: number;
};

/** The keys that were found, best first. */
export type Nearest = {
  /** int32 [B, H, T, k] */
  readonly places: Tensor;
  /** Whether a key is one that may be found, bool [B, H, T, k]: with fewer than k of those, others fill the rest. */
  readonly found: Tensor;
};

const defaultScores = 2 ** 22;
const longRow = 2 ** 15;

/**
 * The `count` keys with the largest dot product for each query and head, exactly. The choice has no gradient.
 *
 * The memory is searched part by part, and the best of all parts are compared once more, so that scores of all keys are never held at once.
 *
 * @shape  q [B, H, T, D], keys [B, H, E, D] → places [B, H, T, k]
 * @cost   O(B·H·T·E·D) time; memory for `scoresAtATime` scores and k of each part
 * @throws RangeError when `count` is more than the number of keys
 */
export function nearestKeys(q: Tensor, keys: Tensor, options: NearestOptions): Nearest {
  const { count, seen, scoresAtATime = defaultScores } = options;
  const [batch, heads, queries] = q.shape as [number, number, number];
  const size = keys.shape[2]!;
  if (count > size) throw new RangeError(`nearestKeys: expected a count of at most ${size} keys, got ${count}`);
  const hiding = reshape(where(seen, 0, hidden), [seen.shape[0]!, 1, 1, size]);
  // Long rows of scores are searched fastest: rather few queries at a time than few keys.
  const width = Math.min(size, Math.max(count, Math.min(longRow, Math.floor(scoresAtATime / (batch * heads)))));
  const rows = Math.max(1, Math.floor(scoresAtATime / (batch * heads * width)));
  const parts = split(stopGradient(q), lengths(queries, rows), 2).map((part) => {
    const found: Best[] = [];
    for (let from = 0; from < size; from += width) {
      const to = Math.min(from + width, size);
      const scores = matmul(part, slice(keys, 2, from, to), { transposeB: true });
      const { values, indices } = largest(add(scores, slice(hiding, 3, from, to)), Math.min(count, to - from));
      found.push({ values, places: from === 0 ? indices : add(indices, from) });
    }
    return bestOf(found, count);
  });
  const places = joined(
    parts.map((part) => part.places),
    2,
  );
  const values = joined(
    parts.map((part) => part.values),
    2,
  );
  return { places, found: greater(values, hidden / 2) };
}

/** Scores, largest first, and the keys that they are of. */
type Best = { readonly values: Tensor; readonly places: Tensor };

function bestOf(parts: readonly Best[], count: number): Best {
  if (parts.length === 1) return parts[0]!;
  const places = joined(
    parts.map((part) => part.places),
    -1,
  );
  const { values, indices } = topK(
    joined(
      parts.map((part) => part.values),
      -1,
    ),
    count,
  );
  return { values, places: takeAlongAxis(places, indices) };
}

/** `count` in parts of `most`, the last one shorter. */
function lengths(count: number, most: number): number[] {
  return Array.from({ length: Math.ceil(count / most) }, (_, part) => Math.min(most, count - part * most));
}

function joined(parts: readonly Tensor[], axis: number): Tensor {
  return parts.length === 1 ? parts[0]! : concat(parts, axis);
}

/**
 * {@link topK} along the last axis for rows that are long: the k largest are in the k groups with the largest maxima, and only those are sorted.
 */
function largest(x: Tensor, count: number): { values: Tensor; indices: Tensor } {
  const size = x.shape.at(-1)!;
  const rows = x.shape.slice(0, -1);
  const group = groupSize(size, count);
  if (group === 1) return topK(x, count);
  const groups = size / group;
  // Element j of group i is at j·groups + i, so that the maxima are those of whole rows.
  const best = topK(max(reshape(x, [...rows, group, groups]), { axes: -2 }), count).indices;
  const members = Array.from({ length: group }, (_, j) => (j === 0 ? best : add(best, j * groups)));
  const candidates = concat(members, -1);
  const sorted = topK(takeAlongAxis(x, candidates), count);
  return { values: sorted.values, indices: takeAlongAxis(candidates, sorted.indices) };
}

/** The divisor of `size` with which maxima and members of groups are fewest; 1 where groups save nothing. */
function groupSize(size: number, count: number): number {
  let best = 1;
  const sortedWith = (group: number) => (group === 1 ? size : size / group + count * group);
  for (let group = 2; group * count <= size; group++)
    if (size % group === 0 && sortedWith(group) < sortedWith(best) / 2) best = group;
  return best;
}
