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
  /** Computed together where they may be divided up: as many as stay in the caches, 2^19 unless told. At least those of a round. */
  readonly logitsAtATime?: number;
};

/** Queries, keys and values by name, [B, H, T, D] or in groups of heads. */
export type Rows = { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor };

/**
 * Softmax attention of every query over its windows of all rounds as if they were one: `Σ_r Σ_j exp(s_ij) v_j / Σ_r Σ_j exp(s_ij)`.
 * That is each round's own attention, weighed with the softmax over rounds of the logarithms of their sums; sums are kept beside
 * the largest logit instead of as logarithms, which 32 bits would round away where that is {@link self}.
 *
 * A few heads at a time, or one round of one head, and nothing but results and sums is kept for the gradient: windows are gathered
 * and weighed again. Sorting back is gathering too: the gradient of a permutation of rows is its inverse.
 *
 * @shape  q, k, v [B, H, T, D] → [B, H, T, D]
 * @cost   O(B·H·R·T·W·D) time; O(B·H·T·D) memory and O(T·W) for what is at hand, W keys in a window
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
  // The order goes in beside the rows: where blocks are computed again, the gradient must read that of its own pass.
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
 * What {@link attendWindows} weighs the windows of each query with, one round after the other, and the tokens in them.
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
  /** In all of these rounds. */
  readonly chunks: number;
  readonly chunk: number;
  readonly window: number;
};

export function sizesOf({ queries, keys, places }: Order): Sizes {
  const [, chunks, chunk] = queries.shape as [number, number, number];
  return { length: places.shape[2]!, rounds: places.shape[1]!, chunks, chunk, window: keys.shape[2]! };
}

/** Sizes of what is computed at a time: g heads, and some rounds or all. */
type Shapes = Sizes & { readonly size: number };

/** The order of what is computed at a time: g heads of N chunks, their rows one after the other. */
type Part = {
  /** Rows [g·N·chunk], [g·N·W]. */
  readonly queries: Tensor;
  readonly keys: Tensor;
  /** For each round, where the rows [g·T] stand among the queries. */
  readonly places: readonly Tensor[];
  readonly query: Slots;
  readonly key: Slots;
  readonly hidden: Tensor;
};

/** Where pairs are counted once: of each of the g·T tokens in every round. */
type Token = { readonly token?: Order["token"] | undefined };

/** All parts, behind axes of groups and steps; tokens behind one of groups. */
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
  /** Rows of a head, and of a round, become rows of the part. */
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

/** Results of a function for each group, one after the other. */
function each<X, Y>(groups: number, xs: X, body: (x: X) => Y): Y {
  const none: readonly Tensor[] = [];
  return scan((_, x: X) => [none, body(x)] as const, none, xs, { length: groups, unroll: groups === 1 })[1];
}

/** What is left after each step has added to it. */
function onward<Carry>(steps: number, start: Carry, parts: Part, step: (before: Carry, part: Part) => Carry): Carry {
  return scan((before: Carry, part: Part) => [step(before, part), []] as const, start, parts, {
    length: steps,
    unroll: steps === 1,
  })[0];
}

/** Rows in windows [g·N, chunk or W, ·], and what the queries make of the keys. */
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

/** Sums of values and of weights of each token, the weights as if `tops` were 0. */
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
  // Logits that the bound replaced weigh nothing, or all that there is: no gradient passes either way.
  const dLogits = mul(raised, sub(matmul(d, own.v, { transposeB: true }), ofQueries(known.offsets)));
  const back = (x: Tensor): Tensor => inOwnOrder(x, part).reduce((a, b) => add(a, b));
  return {
    q: back(matmul(dLogits, own.k, { scale })),
    k: back(foldWindows(matmul(dLogits, own.q, { transposeA: true, scale }), shapes)),
    v: back(foldWindows(matmul(raised, d, { transposeA: true }), shapes)),
  };
}

/** What fills up the last chunk of a round looks at keys in the name of some token: beside a very large number that comes to 0. */
function withoutFill(tops: Tensor, { rounds, chunks, chunk, length, size }: Shapes): Tensor {
  const filled = (chunks / rounds) * chunk;
  if (filled === length) return tops;
  const fill = Array.from({ length: size * chunks * chunk }, (_, i) => (i % filled < length ? 0 : 2 ** 60));
  return add(tops, constant(fromNumbers(fill, tops.shape)));
}

/** Rows of each round in the order of the tokens: [..., chunk, E] → R × [g·T, E]. */
function inOwnOrder(x: Tensor, { places }: Part): Tensor[] {
  const rows = reshape(x, [-1, x.shape.at(-1)!]);
  return places.map((at) => gather(rows, at));
}

/** Adds what windows hold of a chunk to the chunk itself: [g·N, W, D] → [g, N, chunk, D]. */
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
