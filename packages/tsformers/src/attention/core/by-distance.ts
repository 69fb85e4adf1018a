import {
  add,
  after,
  broadcastTo,
  cast,
  concat,
  constant,
  expandDims,
  fromNumbers,
  gather,
  matmul,
  maximum,
  minimum,
  mul,
  ones,
  pad,
  reshape,
  scatterAlongAxis,
  slice,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  zeros,
} from "@tsformers/engine";
import type { Positions } from "../../kinds/index.ts";

/**
 * A value for each distance key − query, optionally different for each query. Below `low` the value is that at `low`, above `high`
 * that at `high`.
 */
export type ByDistance = {
  readonly low: number;
  readonly high: number;
  /** [..., T, to − from], or [..., 1, to − from] when all queries share them, for distances `from`, …, `to − 1`. */
  readonly values: (from: number, to: number) => Tensor;
};

/**
 * Expands values by distance to values by pair: `y[..., t, s] = values[..., t, key[s] − query[t]]`.
 *
 * Where positions are consecutive (`lines`), values are computed for the distances that occur, and rows are shifted against each
 * other by reshaping: no gather is needed, and the gradient sums along diagonals likewise. Otherwise each pair gathers its own value.
 *
 * @shape  → [..., T, S], with T or S 1 where all values are equal; otherwise values [H, 1, ·] → [H, T, S] or [B, H, T, S], and
 *   [B, H, T, ·] → [B, H, T, S]
 * @cost   O(T·(T + S)) for each leading index; keys beyond `low` and `high` cost nothing
 * @source the shift: Huang et al. 2018, "Music Transformer", §3.4.1, arXiv:1809.04281
 */
export function spread(positions: Positions, by: ByDistance): Tensor {
  const { lines, query } = positions;
  if (lines === undefined) return lookUp(by.values(by.low, by.high + 1), clipped(positions, by));
  const pieces = bandsOf(positions, by).map(({ columns, near, from, to }) => {
    const own = by.values(from, to);
    if (near === undefined) return { x: own, columns };
    // Without a dependency on the query, the values of all blocks would be computed ahead of time and kept in memory.
    const tied = own.shape.at(-2) === 1 ? after(own, query) : own;
    return { x: skew(widen(tied, near, -1), query.shape[0]!, columns), columns };
  });
  if (pieces.length === 1) return pieces[0]!.x;
  const rows = Math.max(...pieces.map(({ x }) => x.shape.at(-2)!));
  return concat(
    pieces.map(({ x, columns }) => broadcastTo(x, [...x.shape.slice(0, -2), rows, columns])),
    -1,
  );
}

/**
 * {@link spread} of a formula that is defined for every distance.
 *
 * @param formula of distances key − query as float32, [1, n] or [T, S] or [B, 1, T, S]; values per head must be [H, 1, 1]
 */
export function spreadFormula(positions: Positions, formula: (distance: Tensor) => Tensor): Tensor {
  if (positions.lines === undefined) {
    const each = cast(distances(positions), "float32");
    return formula(each.shape.length === 2 ? each : expandDims(each, 1));
  }
  const values = (from: number, to: number) => {
    const numbers = Array.from({ length: to - from }, (_, i) => from + i);
    return formula(constant(fromNumbers(numbers, [1, to - from])));
  };
  return spread(positions, { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, values });
}

/** A vector for each distance; below `low` it is that of `low`, above `high` that of `high`. */
export type VectorsByDistance = {
  readonly low: number;
  readonly high: number;
  /** [to − from, D], or [H, to − from, D], for distances `from`, …, `to − 1`. */
  readonly vectors: (from: number, to: number) => Tensor;
};

/**
 * Mixes vectors by the weights of pairs: `y[b,h,t] = Σ_s weights[b,h,t,s] · vectors[key[s] − query[t]]`, computed as one product of
 * the weight of each distance with the vectors. The transpose of {@link spread}.
 *
 * @shape  weights [B, H, T, S] → [B, H, T, D]
 * @cost   O(B·H·T·(T + S)·D), and only O(B·H·T·S) for keys beyond `low` and `high`
 */
export function collect(weights: Tensor, positions: Positions, by: VectorsByDistance): Tensor {
  if (positions.lines === undefined) {
    const index = clipped(positions, by);
    const each = broadcastTo(index.shape.length === 2 ? index : expandDims(index, 1), weights.shape);
    const none = zeros([...weights.shape.slice(0, -1), by.high + 1 - by.low], weights.dtype);
    return matmul(scatterAlongAxis(none, each, weights), cast(by.vectors(by.low, by.high + 1), weights.dtype));
  }
  let at = 0;
  const parts = bandsOf(positions, by).map(({ columns, near, from, to }) => {
    const own = slice(weights, -1, at, at + columns);
    at += columns;
    const vectors = cast(by.vectors(from, to), weights.dtype);
    if (near === undefined) return mul(sum(own, { axes: -1, keepDims: true }), vectors);
    return matmul(unskew(own), widen(vectors, near, -2));
  });
  return parts.reduce((a, b) => add(a, b));
}

/** A range of neighbouring keys. Without `near`, all of them have one distance, or lie beyond the bounds. */
type Band = {
  readonly columns: number;
  /** The known distances that occur: `from`, …, `to − 1`. */
  readonly from: number;
  readonly to: number;
  /** How many more distances occur on either side, including one past the last: T + S in all. */
  readonly near?: readonly [before: number, behind: number];
};

/** Splits consecutive keys where they start or stop being near enough for the distance to matter. */
function bandsOf({ query, lines }: Positions, { low, high }: Pick<ByDistance, "low" | "high">): Band[] {
  const count = query.shape[0]!;
  return lines!.keys.flatMap(({ from: start, length }) => {
    const first = start - lines!.query;
    const left = Math.min(Math.max(low - first + 1, 0), length);
    const right = Math.min(Math.max(high - first + count - 1, left), length);
    const bands: Band[] = [];
    if (left > 0) bands.push({ columns: left, from: low, to: low + 1 });
    if (right > left) {
      const [least, most] = [first + left - count + 1, first + right];
      const [from, to] = [Math.max(least, low), Math.min(most, high) + 1];
      bands.push({ columns: right - left, from, to, near: [from - least, most + 1 - to] });
    }
    if (length > right) bands.push({ columns: length - right, from: high, to: high + 1 });
    return bands;
  });
}

/** Repeats the first and last entry of an axis. */
function widen(x: Tensor, [before, behind]: readonly [number, number], axis: -1 | -2): Tensor {
  const repeat = (end: Tensor, times: number) => {
    const shape = end.shape.map((n, i) => (i === end.shape.length + axis ? times : n));
    return times === 0 ? [] : [broadcastTo(end, shape)];
  };
  return concat([...repeat(slice(x, axis, 0, 1), before), x, ...repeat(slice(x, axis, -1), behind)], axis);
}

/** x [..., T or 1, T + S] → [..., T, S]: `y[t, s] = x[t, s + T − 1 − t]`. */
function skew(x: Tensor, rows: number, columns: number): Tensor {
  if (rows === 1) return slice(x, -1, 0, columns);
  const front = x.shape.slice(0, -2);
  const width = rows + columns;
  // As a product with ones, repeating has a gradient that adds up rows by a product, too.
  const all = x.shape.at(-2) === 1 ? matmul(ones([rows, 1], x.dtype), x) : x;
  const flat = reshape(all, [...front, rows * width]);
  const shifted = reshape(slice(flat, -1, rows - 1, rows * width - 1), [...front, rows, width - 1]);
  return slice(shifted, -1, 0, columns);
}

/** x [..., T, S] → [..., T, T + S]: `y[t, s + T − 1 − t] = x[t, s]`, and 0 elsewhere. */
function unskew(x: Tensor): Tensor {
  const front = x.shape.slice(0, -2);
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const none = front.map(() => [0, 0] as const);
  const wide = pad(x, [...none, [0, 0], [0, rows - 1]]);
  const flat = reshape(wide, [...front, rows * (rows + columns - 1)]);
  return reshape(pad(flat, [...none, [rows - 1, 1]]), [...front, rows, rows + columns]);
}

/** all [H, 1, N] or [B, H, T or 1, N], index [T, S] or [B, T, S] → the entry at the index in each row. */
function lookUp(all: Tensor, index: Tensor): Tensor {
  const each = index.shape.length === 2 ? index : expandDims(index, 1);
  const batch = index.shape.length === 2 ? [] : [index.shape[0]!];
  const front = all.shape.length > 3 ? all.shape.slice(0, -2) : [...batch, ...all.shape.slice(0, -2)];
  const [queries, keys] = index.shape.slice(-2) as [number, number];
  const rows = broadcastTo(all, [...front, queries, all.shape.at(-1)!]);
  return takeAlongAxis(rows, broadcastTo(each, [...front, queries, keys]));
}

/** The distance of each pair, clipped to [low, high], counted from `low`. */
function clipped(positions: Positions, { low, high }: Pick<ByDistance, "low" | "high">): Tensor {
  return sub(maximum(minimum(distances(positions), high), low), low);
}

/** key − query: int32 [T, S] or [B, T, S]. */
export function distances({ query, key }: Positions): Tensor {
  return sub(expandDims(key, -2), expandDims(query, -1));
}

/** The rows of x [H, ...] that belong to the heads of `positions`. Default: all of them. */
export function ofHeads(x: Tensor, { heads }: Positions): Tensor {
  return heads === undefined ? x : gather(x, constant(fromNumbers(heads, [heads.length], "int32")), 0);
}
