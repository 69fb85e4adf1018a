import {
  add,
  concat,
  constant,
  customGradient,
  div,
  exp,
  fill,
  flatten,
  fromNumbers,
  gather,
  isTensor,
  log,
  mapTree,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  reshape,
  scan,
  slice,
  softmax,
  stack,
  sub,
  sum,
  type Tensor,
  transpose,
  unflatten,
  zeros,
  zerosLike,
} from "@tsformers/engine";
import { meetings } from "./lsh-meetings.ts";
import type { Order } from "./lsh-order.ts";
import type { Reach, Slots } from "./lsh-reach.ts";

export type WindowOptions = {
  readonly reach: Reach;
  /** Factor of the logits. */
  readonly scale: number;
  /** Whether a pair that meets in several rounds counts once. */
  readonly countsOnce?: true;
  /** Logits computed at a time, where the work can be split; at least those of one round. Default: 2^19, which fits the caches. */
  readonly logitsAtATime?: number;
};

/** Queries, keys and values, each [B, H, T, D] or in groups of heads. */
export type Rows = { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor };

/**
 * Softmax attention of every query over its windows of all rounds as one set: `Σ_r Σ_j exp(s_ij) v_j / Σ_r Σ_j exp(s_ij)`.
 * This equals each round's own attention, weighted by the softmax over rounds of their log-normalisers. Sums are kept relative to
 * the largest logit, not as logarithms, which float32 would round away where that logit is {@link self}.
 *
 * Computed a few heads at a time, or one round of one head; only results and sums are kept for the gradient, and windows are
 * gathered and weighed again. Undoing the sort is also a gather: the gradient of a permutation of rows is its inverse.
 *
 * @shape  q, k, v [B, H, T, D] → [B, H, T, D]
 * @cost   O(B·H·R·T·W·D) time; O(B·H·T·D) memory and O(T·W) for the current part, W keys in a window
 */
export function attendWindows(rows: Rows, order: Order, options: WindowOptions): Tensor {
  const sizes = sizesOf(order);
  const { rounds, chunks, chunk, window } = sizes;
  const [batch, heads, , width] = rows.v.shape as [number, number, number, number];
  const logits = chunks * chunk * window;
  const most = options.logitsAtATime ?? 2 ** 19;
  const steps = order.wraps || logits <= most ? 1 : rounds;
  const size = groupSize(batch * heads, logits / steps, most);
  const groups = (batch * heads) / size;
  const shapes = { ...sizes, rounds: rounds / steps, chunks: chunks / steps, size };
  const grouped = (x: Tensor): Tensor => reshape(x, [groups, -1, x.shape.at(-1)!]);
  const tokens = size * sizes.length;
  // The order is an input like the rows: where blocks are recomputed, the gradient must use the order of its own pass.
  const { leaves, structure } = flatten(inGroups(order, groups, steps, options), isTensor);
  const orderOf = ([, , , ...rest]: readonly Tensor[]) => unflatten(structure, rest) as ReturnType<typeof inGroups>;
  const [mixed] = customGradient({
    forward: (...inputs) => {
      const [q, k, v] = inputs;
      const { parts, token } = orderOf(inputs);
      const own = { q: grouped(q!), k: grouped(k!), v: grouped(v!) };
      const out = each(groups, { own, parts, token }, ({ own, parts, token }) => {
        const start = {
          mixed: zeros([tokens, width]),
          tops: fill([tokens, 1], -(2 ** 60)),
          totals: zeros([tokens, 1]),
        };
        const { mixed, tops, totals } = onward(steps, start, parts, (before, part) =>
          mix(before, look(own, { ...part, token }, shapes, options), part),
        );
        return { mixed: div(mixed, totals), tops, totals };
      });
      return [reshape(out.mixed, v!.shape), out.tops, out.totals];
    },
    backward: ({ inputs, outputs: [mixed, tops, totals], cotangents: [dy] }) => {
      const [q, k, v] = inputs;
      const { parts, token } = orderOf(inputs);
      const own = { q: grouped(q!), k: grouped(k!), v: grouped(v!) };
      const d = div(grouped(dy!), totals!);
      const offsets = sum(mul(d, grouped(mixed!)), { axes: -1, keepDims: true });
      const out = each(
        groups,
        { own, parts, token, known: { d, offsets, tops: tops! } },
        ({ own, parts, token, known }) => {
          const start = { q: zerosLike(own.q), k: zerosLike(own.k), v: zerosLike(own.v) };
          return onward(steps, start, parts, (before, part) => {
            const gradient = mixGradient(look(own, { ...part, token }, shapes, options), part, known, shapes, options);
            return { q: add(before.q, gradient.q), k: add(before.k, gradient.k), v: add(before.v, gradient.v) };
          });
        },
      );
      return [reshape(out.q, q!.shape), reshape(out.k, k!.shape), reshape(out.v, v!.shape)];
    },
  })(rows.q, rows.k, rows.v, ...leaves);
  return mixed!;
}

/**
 * The weights of {@link attendWindows} over the windows of each query, one round after the other, and the tokens in them.
 *
 * @shape weights [B, H, T, R·W], keys int32 [B, H, T, R·W]
 */
export function windowWeights(rows: Rows, order: Order, options: WindowOptions): { weights: Tensor; keys: Tensor } {
  const sizes = sizesOf(order);
  const { rounds, chunk, chunks, window } = sizes;
  const [batch, heads, length] = rows.q.shape as [number, number, number];
  const size = batch * heads;
  const { parts, token } = inGroups(order, 1, 1, options);
  const only = (x: Tensor): Tensor => reshape(x, x.shape.slice(2));
  const part = {
    ...mapTensors(parts, only),
    token: token && mapTensors(token, (x) => reshape(x, x.shape.slice(1))),
  };
  const flat = mapTensors(rows, (x) => reshape(x, [size * length, x.shape[3]!]));
  const { logits } = look(flat, part, { ...sizes, size }, options);
  const side = (x: readonly Tensor[]): Tensor => reshape(stack(x, 1), [batch, heads, length, rounds * window]);
  const tokens = reshape(order.keys, [size * chunks, window]);
  return {
    weights: softmax(side(inOwnOrder(logits, part))),
    keys: side(part.places.map((at) => gather(tokens, div(at, chunk)))),
  };
}

export type Sizes = {
  readonly length: number;
  readonly rounds: number;
  /** Chunks in all rounds together. */
  readonly chunks: number;
  readonly chunk: number;
  readonly window: number;
};

export function sizesOf({ queries, keys, places }: Order): Sizes {
  const [, chunks, chunk] = queries.shape as [number, number, number];
  return { length: places.shape[2]!, rounds: places.shape[1]!, chunks, chunk, window: keys.shape[2]! };
}

/** Sizes of one part: g heads, and some or all rounds. */
type Shapes = Sizes & { readonly size: number };

/** The order of one part: g heads of N chunks, their rows one after the other. */
type Part = {
  /** Rows [g·N·chunk], [g·N·W]. */
  readonly queries: Tensor;
  readonly keys: Tensor;
  /** For each round, the index of each row [g·T] among the queries. */
  readonly places: readonly Tensor[];
  readonly query: Slots;
  readonly key: Slots;
  readonly hidden: Tensor;
};

/** Buckets and indices of the g·T tokens in every round, where pairs are counted once. */
type Token = { readonly token?: Order["token"] | undefined };

/** Splits the order into parts, with leading axes of groups and steps; `token` has the groups axis only. */
function inGroups(order: Order, groups: number, steps: number, { countsOnce }: WindowOptions): { parts: Part } & Token {
  const { length, rounds, chunks, chunk } = sizesOf(order);
  const size = order.queries.shape[0]! / groups;
  const [n, r] = [chunks / steps, rounds / steps];
  /** [B·H, R or N, ...] → [groups, steps, g, R/steps or N/steps, ...] */
  const apart = (x: Tensor): Tensor => {
    const own = reshape(x, [groups, size, steps, x.shape[1]! / steps, ...x.shape.slice(2)]);
    return size === 1 || steps === 1
      ? reshape(own, [groups, steps, size, ...own.shape.slice(3)])
      : transpose(own, [0, 2, 1, 3, ...x.shape.slice(2).map((_, i) => 4 + i)]);
  };
  const labels = (x: Tensor): Tensor => reshape(apart(x), [groups, steps, size * n, ...x.shape.slice(2)]);
  /** Row indices within a head, or a round, become row indices within the part. */
  const rowsOf = (x: Tensor, perHead: number, perRound: number): Tensor => {
    const own = apart(x);
    const [, , , each] = own.shape as [number, number, number, number];
    const first = Array.from({ length: size * each }, (_, i) => Math.floor(i / each) * perHead + (i % each) * perRound);
    return add(own, constant(fromNumbers(first, [1, 1, size, each, ...own.shape.slice(4).map(() => 1)], "int32")));
  };
  const places = rowsOf(order.places, n * chunk, (n / r) * chunk);
  const parts: Part = {
    queries: reshape(rowsOf(order.queries, length, 0), [groups, steps, -1]),
    keys: reshape(rowsOf(order.keys, length, 0), [groups, steps, -1]),
    places: Array.from({ length: r }, (_, round) => reshape(slice(places, 3, round, round + 1), [groups, steps, -1])),
    query: mapTensors(order.query, labels),
    key: mapTensors(order.key, labels),
    hidden: labels(order.hidden),
  };
  const ofTokens = (x: Tensor): Tensor => reshape(x, [groups, size * length, rounds]);
  return { parts, token: countsOnce && mapTensors(order.token, ofTokens) };
}

function mapTensors<T>(tree: T, fn: (x: Tensor) => Tensor): T {
  return mapTree(tree, isTensor, fn) as T;
}

function groupSize(lines: number, logits: number, most: number): number {
  const fits = Math.min(lines, Math.max(1, Math.floor(most / logits)));
  return Array.from({ length: fits }, (_, i) => fits - i).find((size) => lines % size === 0)!;
}

/** Maps a function over the groups, one after the other. */
function each<X, Y>(groups: number, xs: X, body: (x: X) => Y): Y {
  const none: readonly Tensor[] = [];
  return scan((_, x: X) => [none, body(x)] as const, none, xs, { length: groups, unroll: groups === 1 })[1];
}

/** Folds a function over the steps; returns the last carry. */
function onward<Carry>(steps: number, start: Carry, parts: Part, step: (before: Carry, part: Part) => Carry): Carry {
  return scan((before: Carry, part: Part) => [step(before, part), []] as const, start, parts, {
    length: steps,
    unroll: steps === 1,
  })[0];
}

/** Gathers the windows' rows [g·N, chunk or W, ·] and computes their logits. */
function look({ q, k, v }: Rows, part: Part & Token, { size, ...sizes }: Shapes, { reach, scale }: WindowOptions) {
  const { chunks, chunk, window } = sizes;
  const ofQueries = (x: Tensor): Tensor => reshape(gather(x, part.queries), [size * chunks, chunk, -1]);
  const ofKeys = (x: Tensor): Tensor => reshape(gather(x, part.keys), [size * chunks, window, -1]);
  const own = { q: ofQueries(q), k: ofKeys(k), v: ofKeys(v) };
  const products = matmul(own.q, own.k, { transposeB: true, scale });
  const counted =
    part.token === undefined
      ? products
      : sub(products, log(maximum(meetings({ ...part, token: part.token }, { ofQueries, ofKeys }, sizes, reach), 1)));
  return { own, ofQueries, logits: minimum(counted, reach.bound(part.query, part.key, part.hidden)) };
}

type Looked = ReturnType<typeof look>;

/** Each token's sums of values and of weights, both scaled by exp(−`tops`). */
type Mixed = { readonly mixed: Tensor; readonly tops: Tensor; readonly totals: Tensor };

function mix(before: Mixed, { own, logits }: Looked, part: Part): Mixed {
  const top = max(logits, { axes: -1, keepDims: true });
  const raised = exp(sub(logits, top));
  const [mixed, tops, totals] = [matmul(raised, own.v), top, sum(raised, { axes: -1, keepDims: true })].map((x) =>
    inOwnOrder(x, part),
  ) as [Tensor[], Tensor[], Tensor[]];
  const all = [before, ...mixed.map((one, round) => ({ mixed: one, tops: tops[round]!, totals: totals[round]! }))];
  const highest = all.map(({ tops }) => tops).reduce((a, b) => maximum(a, b));
  const shares = all.map(({ tops }) => exp(sub(tops, highest)));
  const summed = (of: "mixed" | "totals"): Tensor =>
    all.map((one, i) => mul(one[of], shares[i]!)).reduce((a, b) => add(a, b));
  return { mixed: summed("mixed"), tops: highest, totals: summed("totals") };
}

function mixGradient(
  { own, ofQueries, logits }: Looked,
  part: Part,
  known: { readonly d: Tensor; readonly offsets: Tensor; readonly tops: Tensor },
  shapes: Shapes,
  { scale }: WindowOptions,
): Rows {
  const raised = exp(sub(logits, withoutFill(ofQueries(known.tops), shapes)));
  const d = ofQueries(known.d);
  // A logit that the bound replaced has weight 0, or is the only one: its gradient is 0 in either case.
  const dLogits = mul(raised, sub(matmul(d, own.v, { transposeB: true }), ofQueries(known.offsets)));
  const back = (x: Tensor): Tensor => inOwnOrder(x, part).reduce((a, b) => add(a, b));
  return {
    q: back(matmul(dLogits, own.k, { scale })),
    k: back(foldWindows(matmul(dLogits, own.q, { transposeA: true, scale }), shapes)),
    v: back(foldWindows(matmul(raised, d, { transposeA: true }), shapes)),
  };
}

/** Removes the fill at the end of a round: with a very large normaliser its weights become 0. */
function withoutFill(tops: Tensor, { rounds, chunks, chunk, length, size }: Shapes): Tensor {
  const filled = (chunks / rounds) * chunk;
  if (filled === length) return tops;
  const fill = Array.from({ length: size * chunks * chunk }, (_, i) => (i % filled < length ? 0 : 2 ** 60));
  return add(tops, constant(fromNumbers(fill, tops.shape)));
}

/** Rows of each round, back in sequence order: [..., chunk, E] → R × [g·T, E]. */
function inOwnOrder(x: Tensor, { places }: Part): Tensor[] {
  const rows = reshape(x, [-1, x.shape.at(-1)!]);
  return places.map((at) => gather(rows, at));
}

/** Adds up all that windows hold of each chunk: [g·N, W, D] → [g, N, chunk, D]. */
function foldWindows(x: Tensor, { size, chunks, chunk, window }: Shapes): Tensor {
  const parts = reshape(x, [size, chunks, window, x.shape.at(-1)!]);
  const back = window / chunk - 1;
  let own = slice(parts, 2, back * chunk);
  for (let far = 1; far <= back; far++) {
    const part = slice(parts, 2, (back - far) * chunk, (back - far + 1) * chunk);
    const turn = far % chunks;
    own = add(own, turn === 0 ? part : concat([slice(part, 1, turn), slice(part, 1, 0, turn)], 1));
  }
  return own;
}
