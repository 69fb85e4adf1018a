import {
  add,
  and,
  argsort,
  broadcastTo,
  type Concrete,
  cast,
  concat,
  customGradient,
  equal,
  expandDims,
  full,
  gather,
  iota,
  less,
  lessEqual,
  matmul,
  mod,
  mul,
  pad,
  reshape,
  scatterSet,
  slice,
  softmax,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { Context } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { hidden } from "../core/query-block.ts";

export type NearestOptions = {
  /** W: members of its cluster that a position looks at, itself included. */
  readonly window: number;
  /** Factor of the logits. */
  readonly scale: number;
  /** Replaces the logit of a position with itself, so that positions weigh themselves only if they see no other member. */
  readonly selfLogit?: number;
  /** 1 for real keys, 0 for padding, [B, T]. */
  readonly keyMask?: Tensor;
};

/**
 * Softmax attention of each position over the last W members of its own cluster, up to itself: a sliding window over the
 * sequence sorted by cluster.
 *
 * @param cluster the cluster of each position, int32 [B, H, T]
 * @shape  q, k, v [B, H, T, D] → mixed [B, H, T, D]
 * @cost   O(B·H·T·W·D) time, O(B·H·T·(W + D)) memory
 */
export function nearestAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  cluster: Tensor,
  options: NearestOptions & { readonly dropoutRate?: number; readonly context: Context },
): { readonly mixed: Tensor; readonly map: () => AttentionMap } {
  const { scale, keyMask, dropoutRate = 0, context } = options;
  const [batch, heads, length] = q.shape as [number, number, number];
  const window = Math.min(options.window, length);
  // Padding gets a cluster of its own, or it would take up room in the windows of others.
  const own = keyMask === undefined ? cluster : where(cast(expandDims(keyMask, 1), "bool"), cluster, padding);
  const { sort, unsort } = byCluster(own);
  const inChunks = (x: Tensor, filler = 0): Tensor => fillChunks(x, window, filler);
  const keys = sort(k);
  const queries = inChunks(q === k ? keys : sort(q));
  const raw = matmul(queries, withChunkBefore(inChunks(keys), 0), { transposeB: true, scale });
  const ids = inChunks(sort(expandDims(own, -1)), nobody);
  const alike = equal(ids, swap(withChunkBefore(ids, nobody)));
  const { band, self } = bandOf(window, raw.shape[4]!);
  const logits = cast(options.selfLogit === undefined ? raw : where(self, options.selfLogit, raw), "float32");
  const weights = softmax(add(logits, where(alike, band, hidden)));
  const dropped = dropout(cast(weights, v.dtype), dropoutRate, context, "attention");
  const outs = matmul(dropped, withChunkBefore(inChunks(sort(v)), 0));
  const real = keyMask && reshape(keyMask, [batch, 1, length, 1]);
  const place = (x: Tensor): Tensor => {
    const rows = unsort(slice(reshape(x, [batch, heads, -1, x.shape[4]!]), 2, 0, length));
    return real === undefined ? rows : mul(rows, cast(real, x.dtype));
  };
  return {
    mixed: place(outs),
    map: () => {
      const positions = broadcastTo(iota([length, 1]), [batch, heads, length, 1]);
      const at = swap(withChunkBefore(inChunks(sort(positions)), 0));
      return { weights: place(weights), keys: place(broadcastTo(at, weights.shape)) };
    },
  };
}

/** The cluster of padding: the last of all. */
const padding = 2 ** 30;
/** The cluster of the fill at the end of chunks. */
const nobody = -1;

/** Sorts rows [B, H, T, ·] by cluster and position, and back. */
function byCluster(cluster: Tensor): Record<"sort" | "unsort", (x: Tensor) => Tensor> {
  const [batch, heads, length] = cluster.shape as [number, number, number];
  const first = reshape(mul(iota(batch * heads), length), [batch, heads, 1]);
  const order = argsort(cluster, -1);
  const [there, back] = [add(order, first), add(argsort(order, -1), first)];
  const take = (x: Tensor, rows: Tensor): Tensor => gather(reshape(x, [-1, x.shape[3]!]), rows);
  // The gradient of a permutation is the inverse gather, where the engine's own gradient of a gather would scatter-add.
  const permute = customGradient({
    forward: (x, to, _) => [take(x!, to!)],
    backward: ({ inputs: [, , from], cotangents: [dy] }) => [take(dy!, from!)],
  });
  return {
    sort: (x) => permute(x, there, back)[0]!,
    unsort: (x) => permute(x, back, there)[0]!,
  };
}

/** [B, H, T, ·] → [B, H, chunks, W, ·] */
function fillChunks(x: Tensor, window: number, filler: number): Tensor {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  const missing = (window - (length % window)) % window;
  const filled = pad(
    x,
    [
      [0, 0],
      [0, 0],
      [0, missing],
      [0, 0],
    ],
    filler,
  );
  return reshape(filled, [batch, heads, -1, window, width]);
}

/** Each chunk preceded by the chunk before it, if there are several: [B, H, chunks, W, ·] → [B, H, chunks, 2W, ·]. */
function withChunkBefore(x: Tensor, filler: number): Tensor {
  const chunks = x.shape[2]!;
  if (chunks === 1) return x;
  const before = pad(
    slice(x, 2, 0, chunks - 1),
    [
      [0, 0],
      [0, 0],
      [1, 0],
      [0, 0],
      [0, 0],
    ],
    filler,
  );
  return concat([before, x], 3);
}

/** Transposes the last two axes, one of which has extent 1. */
function swap(x: Tensor): Tensor {
  return reshape(x, [...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!]);
}

/**
 * Masks of W queries over `width` keys that end with the last query. `band`: added to logits, 0 for the last W keys up to each query;
 * `self`: true on the diagonal.
 */
function bandOf(window: number, width: number): { band: Tensor; self: Tensor } {
  const distance = sub(iota([window, 1]), sub(iota(width), width - window));
  const inside = and(lessEqual(0, distance), less(distance, window));
  return { band: where(inside, 0, hidden), self: equal(distance, 0) };
}

/** Decode state: the last W members of every cluster, in ring buffers. */
export type Rings = {
  /** [B, H, k, W, D] */
  keys: Tensor;
  /** [B, H, k, W, D] */
  values: Tensor;
  /** Members so far, int32 [B, H, k]. */
  counts: Tensor;
};

export function emptyRings(
  batch: number,
  heads: number,
  clusters: number,
  window: number,
  width: number,
): Concrete<Rings> {
  const ring = full([batch, heads, clusters, window, width], 0);
  return { keys: ring, values: ring, counts: full([batch, heads, clusters], 0, "int32") };
}

/**
 * One step of {@link nearestAttention}.
 *
 * @shape  q, k, v [B, H, 1, D], cluster [B, H, 1], keyMask [B, 1] → mixed [B, H, 1, D]
 * @cost   O(B·H·W·D) time and O(B·H·k·W·D) memory, independent of the position
 */
export function nearestStep(
  { keys, values, counts }: Rings,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  cluster: Tensor,
  { scale, selfLogit, keyMask }: Omit<NearestOptions, "window">,
): { readonly mixed: Tensor; readonly state: Rings } {
  const [batch, heads, clusters, window, width] = keys.shape as [number, number, number, number, number];
  const rings = add(reshape(cluster, [-1]), mul(iota(batch * heads), clusters));
  const count = gather(reshape(counts, [-1]), rings);
  const slot = mod(count, window);
  const rows = add(mul(rings, window), slot);
  const real = keyMask && reshape(broadcastTo(keyMask, [batch, heads]), [batch * heads, 1]);
  const write = (ring: Tensor, entry: Tensor): Tensor => {
    const old = reshape(ring, [-1, width]);
    const own = reshape(entry, [-1, width]);
    const fresh = real === undefined ? own : where(cast(real, "bool"), own, gather(old, rows));
    return reshape(scatterSet(old, rows, fresh), ring.shape);
  };
  const next = { keys: write(keys, k), values: write(values, v) };
  const ringOf = (all: Tensor): Tensor =>
    reshape(gather(reshape(all, [-1, window * width]), rings), [batch, heads, window, width]);
  const raw = cast(matmul(q, ringOf(next.keys), { transposeB: true, scale }), "float32");
  const at = (x: Tensor): Tensor => reshape(x, [batch, heads, 1, 1]);
  const logits = selfLogit === undefined ? raw : where(equal(iota(window), at(slot)), selfLogit, raw);
  const weights = softmax(where(lessEqual(iota(window), at(count)), logits, hidden));
  const mixed = matmul(cast(weights, v.dtype), ringOf(next.values));
  const more = real === undefined ? 1 : cast(reshape(real, [-1]), "int32");
  const grown = reshape(scatterSet(reshape(counts, [-1]), rings, add(count, more)), counts.shape);
  return {
    mixed: real === undefined ? mixed : mul(mixed, at(cast(real, mixed.dtype))),
    state: { ...next, counts: grown },
  };
}
