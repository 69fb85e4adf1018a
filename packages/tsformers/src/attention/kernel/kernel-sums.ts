import {
  add,
  constant,
  cumsum,
  equal,
  exp,
  expandDims,
  fromNumbers,
  matmul,
  mul,
  pad,
  reshape,
  slice,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";

/**
 * Each query's sum over all keys: `Σ_s (q_t·k_s) v_s = q_t·(Σ_s k_s ⊗ v_s)`, where q and k are features. A column of ones among
 * the values gives the sum of weights.
 *
 * @shape  q [..., T, M], k [..., S, M], v [..., S, D] → [..., T, D]
 * @cost   O((T + S)·M·D) time
 */
export function wholeSums(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return matmul(q, matmul(k, v, { transposeA: true }));
}

/**
 * Each query's sum over keys up to its own position, by the definition, all pairs at once:
 * `Σ_{s≤t} (Π_{s<r≤t} decay_r) (q_t·k_s) v_s`. The oracle of {@link chunkedSums} and {@link stepSums}.
 *
 * @param logDecay logarithm of the factor by which step t multiplies the past, at most 0. Default: 0, no decay
 * @shape  q, k [..., T, M], v [..., T, D], logDecay [..., T] → [..., T, D]
 * @cost   O(T²·(M + D)) time, O(T²) memory
 */
export function parallelSums(q: Tensor, k: Tensor, v: Tensor, logDecay?: Tensor): Tensor {
  return matmul(mul(matmul(q, k, { transposeB: true }), seen(q.shape.at(-2)!, logDecay)), v);
}

/**
 * {@link parallelSums} in linear time: all pairs within chunks of W positions, and a state `Σ k_s ⊗ v_s` for everything before a
 * chunk. Decays enter only as differences of their running sums, so that no exponential overflows.
 *
 * @param positions W. Default: the power of two nearest to √(M·D), where pairs and states take the same memory
 * @cost   O(T·(W·(M + D) + M·D)) time, O(T·(W + M·D/W)) memory
 * @source Hua et al. 2022, "Transformer Quality in Linear Time", §3.3, arXiv:2202.10447; with decays: Dao & Gu 2024,
 *   "Transformers are SSMs", §6, arXiv:2405.21060
 */
export function chunkedSums(q: Tensor, k: Tensor, v: Tensor, logDecay?: Tensor, positions?: number): Tensor {
  const length = q.shape.at(-2)!;
  const chunk = positions ?? usualChunk(q.shape.at(-1)!, v.shape.at(-1)!);
  if (length <= chunk) return parallelSums(q, k, v, logDecay);
  const axis = q.shape.length - 2;
  const [queries, keys, values] = [q, k, v].map((x) => inChunks(x, axis, chunk)) as [Tensor, Tensor, Tensor];
  const decays = logDecay === undefined ? undefined : inChunks(logDecay, axis, chunk);
  const near = parallelSums(queries, keys, values, decays);
  return fromChunks(add(near, sumsBefore(queries, keys, values, decays)), axis, length);
}

function usualChunk(features: number, width: number): number {
  return 2 ** Math.round(Math.log2(features * width) / 2);
}

/**
 * {@link parallelSums} one position at a time: `S ← decay·S + k ⊗ v`, then `q·S`.
 *
 * @shape  q, k [..., 1, M], v [..., 1, D], state [..., M, D], logDecay [..., 1] → sums [..., 1, D], state [..., M, D]
 * @cost   O(M·D) time and memory, independent of the position
 */
export function stepSums(
  state: Tensor,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  logDecay?: Tensor,
): { readonly sums: Tensor; readonly state: Tensor } {
  const left = logDecay === undefined ? state : mul(state, expandDims(exp(logDecay), -1));
  const next = add(left, matmul(k, v, { transposeA: true }));
  return { sums: matmul(q, next), state: next };
}

/** q, k [..., N, W, M], v [..., N, W, D], decays [..., N, W] → the contribution of earlier chunks to each position. */
function sumsBefore(q: Tensor, k: Tensor, v: Tensor, decays?: Tensor): Tensor {
  if (decays === undefined) return matmul(q, statesBefore(matmul(k, v, { transposeA: true })));
  const soFar = cumsum(decays, -1);
  const whole = slice(soFar, -1, -1);
  const leftAtEnd = mul(k, expandDims(exp(sub(whole, soFar)), -1));
  const states = statesBefore(matmul(leftAtEnd, v, { transposeA: true }), reshape(whole, whole.shape.slice(0, -1)));
  return matmul(mul(q, expandDims(exp(soFar), -1)), states);
}

/** What each chunk adds [..., N, M, D] and its log-decay [..., N] → the state before each chunk. */
function statesBefore(added: Tensor, logDecay?: Tensor): Tensor {
  const cell = added.shape.slice(-2) as [number, number];
  return reshape(rowsBefore(reshape(added, [...added.shape.slice(0, -2), cell[0] * cell[1]]), logDecay), added.shape);
}

/** The most chunks whose states are summed by one product; more are summed in groups, so that time does not grow with N². */
const group = 64;

/** {@link statesBefore} of rows [..., N, E]: a product with a triangular matrix, which is much faster than a running sum. */
function rowsBefore(rows: Tensor, logDecay?: Tensor): Tensor {
  const axis = rows.shape.length - 2;
  const count = rows.shape[axis]!;
  if (count <= group) return matmul(slice(before(count, logDecay), -2, 0, count), rows);
  const decays = logDecay === undefined ? undefined : inChunks(logDecay, axis, group);
  const sums = matmul(before(group, decays), inChunks(rows, axis, group));
  const [near, whole] = [slice(sums, -2, 0, group), slice(sums, -2, group)];
  const groups = [...whole.shape.slice(0, -2), whole.shape.at(-1)!];
  if (decays === undefined)
    return fromChunks(add(near, expandDims(rowsBefore(reshape(whole, groups)), -2)), axis, count);
  const soFar = cumsum(decays, -1);
  const earlier = rowsBefore(reshape(whole, groups), reshape(slice(soFar, -1, -1), groups.slice(0, -1)));
  const reaching = mul(expandDims(earlier, -2), expandDims(exp(sub(soFar, decays)), -1));
  return fromChunks(add(near, reaching), axis, count);
}

/** How much of what row s ≤ t added remains at row t, 0 for s > t: [T, T], with decays [..., T, T]. */
export function seen(length: number, logDecay?: Tensor): Tensor {
  const ones = Array.from({ length: length ** 2 }, (_, at) => (at % length <= Math.floor(at / length) ? 1 : 0));
  const triangle = constant(fromNumbers(ones, [length, length]));
  if (logDecay === undefined) return triangle;
  const soFar = cumsum(logDecay, -1);
  const between = sub(expandDims(soFar, -1), expandDims(soFar, -2));
  return exp(where(equal(triangle, 1), between, -1e30));
}

/** How much of what row s < t added remains before row t, with one more row after the last: [..., T + 1, T]. */
function before(length: number, logDecay?: Tensor): Tensor {
  const after = seen(length, logDecay);
  return pad(
    after,
    after.shape.map((_, axis) => [axis === after.shape.length - 2 ? 1 : 0, 0] as const),
  );
}

/** [..., T, ...] → [..., N, W, ...], the last chunk padded with zeros, which add nothing and do not decay the state. */
function inChunks(x: Tensor, axis: number, chunk: number): Tensor {
  const count = Math.ceil(x.shape[axis]! / chunk);
  const missing = count * chunk - x.shape[axis]!;
  const filled = pad(
    x,
    x.shape.map((_, at) => [0, at === axis ? missing : 0] as const),
  );
  return reshape(filled, [...x.shape.slice(0, axis), count, chunk, ...x.shape.slice(axis + 1)]);
}

/** The inverse of {@link inChunks}. */
function fromChunks(x: Tensor, axis: number, length: number): Tensor {
  const [count, chunk, ...rest] = x.shape.slice(axis) as [number, number, ...number[]];
  return slice(reshape(x, [...x.shape.slice(0, axis), count * chunk, ...rest]), axis, 0, length);
}
