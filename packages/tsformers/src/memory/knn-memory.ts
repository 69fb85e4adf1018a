import {
  abs,
  add,
  and,
  type Concrete,
  cast,
  concat,
  div,
  expandDims,
  full,
  greaterEqual,
  iota,
  less,
  matmul,
  mod,
  mul,
  reshape,
  scatterSet,
  sigmoid,
  slice,
  softmax,
  splitKey,
  sqrt,
  stopGradient,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  where,
} from "@tsformers/engine";
import { attend } from "../attention/core/executor.ts";
import { headProjections, oneSequence } from "../attention/core/head-projections.ts";
import { hidden } from "../attention/core/query-block.ts";
import { requireSupport } from "../attention/core/require-support.ts";
import { slotPositions, viewOfSlots } from "../attention/core/ring.ts";
import type { Context, KeyValueCache, Mixer, View } from "../kinds/index.ts";
import type { Initial } from "../nn/initial.ts";
import type { LinearParams } from "../nn/linear.ts";
import { requireCounts } from "../nn/sizes.ts";
import { entriesAt, withEntriesAt } from "./memory-rows.ts";
import { nearestKeys } from "./nearest-keys.ts";
import { newest, seenOf } from "./segment-memory.ts";

export type KnnMemoryOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** M: positions before its segment that local attention sees; they are the newest ones of the memory. */
  readonly memoryLength: number;
  /** E: positions whose keys and values are kept, at least M. */
  readonly entries: number;
  /** k: of how many of them each query and head takes the values. */
  readonly neighbours: number;
  /** Scale of the logits at the beginning. Default: 1; with it, attention is even until scales have grown, which takes thousands of steps. */
  readonly initialScale?: number;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

export type KnnMemoryParams = {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  out: LinearParams;
  /** Of the logits, [H]; its absolute value counts. */
  scale: Tensor;
  /** Of the memory, before the sigmoid, [H]. */
  gate: Tensor;
};

/** What a row keeps of earlier segments: a ring, in which new positions overwrite the oldest. */
export type KnnMemoryState = {
  /** Of unit length, [B, H, E, D]. */
  readonly keys: Tensor;
  /** [B, H, E, D] */
  readonly values: Tensor;
  /** 1 for entries that may be seen, 0 where nothing was read yet and for padding, int32 [B, E]. */
  readonly seen: Tensor;
  /** The place of the next position, int32 [B]. */
  readonly next: Tensor;
};

/**
 * Attention to what is near and, beside it, to the k keys of a long memory that are most like the query:
 *
 * `y = (1 − g)·softmax(s·q·kᵀ + bias)·v + g·softmax(s·q·k_Nᵀ)·v_N`, with N the k keys of the memory with the largest q·k, g = σ(gate_h),
 * s = |scale_h|, and queries and keys of unit length, `x·rsqrt(Σx² + 1e-6)`. Values are as they come.
 *
 * The memory holds keys and values of the last E positions before the segment, as they were when they were read. It is not differentiated;
 * queries, scale and gate are. Its newest M positions are seen by local attention, too. Positions have no bias in the memory, however
 * far back they are. A query whose memory is empty has its local attention alone.
 *
 * While it writes, a position enters the memory when local attention, which reaches M positions back, no longer sees it.
 *
 * @shape  x [B, T, C], memory [B, H, E, D] → y [B, T, C]
 * @cost   O(B·H·T·(T + M + E)·D) time; memory O(B·H·E·D), and scores of a part of the E entries at a time
 * @source Wu et al. 2022, "Memorizing Transformers", §3, arXiv:2203.08913
 * @differs the search is exact; what an empty memory adds is left open there
 * @throws RangeError when the memory has fewer entries than neighbours, or than positions that local attention sees, or a scale is not
 *   above 0
 */
export function knnMemory(options: KnnMemoryOptions): Mixer<KnnMemoryParams> {
  const { heads, memoryLength, entries, neighbours, initialScale = 1, dropoutRate = 0 } = options;
  requireCounts("knn-memory", { memoryLength, entries, neighbours });
  for (const [name, least] of Object.entries({ neighbours, memoryLength })) {
    if (least > entries)
      throw new RangeError(`knn-memory: entries must be at least ${name}, got entries ${entries} and ${name} ${least}`);
  }
  if (!(initialScale > 0 && initialScale < Number.POSITIVE_INFINITY))
    throw new RangeError(`knn-memory: initialScale must be a number above 0, got ${initialScale}`);
  const { headWidth, ...projections } = headProjections("knn-memory", { ...options, bias: false });
  const project = (params: KnnMemoryParams, x: Tensor, view: View) => {
    requireSupport("knn-memory", view, { rotation: "keys of earlier segments would keep the positions of theirs" });
    const toHeads = (of: "query" | "key" | "value") => projections.toHeads(params[of], x);
    const q = mul(unit(toHeads("query")), reshape(abs(params.scale), [heads, 1, 1]));
    return { q, own: { key: unit(toHeads("key")), value: toHeads("value") } };
  };
  const local = (q: Tensor, near: KeyValueCache, view: View, context: Context) =>
    attend(q, near, { view, scale: 1, dropoutRate, context });
  const empty = (batch: number, size: number) => full([batch, heads, size, headWidth], 0);
  return {
    name: "knn-memory",
    sees: "pattern",
    segment: {
      length: memoryLength,
      init: (batch) => ({
        keys: empty(batch, entries),
        values: empty(batch, entries),
        seen: full([batch, entries], 0, "int32"),
        next: full([batch], 0, "int32"),
      }),
      // What is not seen need not be erased.
      restart: (memory, fresh) => {
        const { seen, ...kept } = memory as KnnMemoryState;
        return { ...kept, seen: where(expandDims(fresh, 1), 0, seen) };
      },
    },
    init: (key): Concrete<KnnMemoryParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      const { initHeads, initOut } = projections;
      return {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        out: initOut(o!),
        scale: full([heads], initialScale),
        gate: full([heads], 0),
      };
    },
    apply: (params, input, context) => {
      oneSequence("knn-memory", input);
      const { x, view, state } = input;
      const memory = state?.segment as KnnMemoryState | undefined;
      const { q, own } = project(params, x, view);
      if (memory === undefined) {
        const { mixed, map } = local(q, own, view, context);
        return { y: projections.fromHeads(params.out, mixed, context), map, ...(state !== undefined && { state }) };
      }
      const latest = placesFrom(sub(memory.next, memoryLength), memoryLength, entries);
      const behind = (kept: Tensor, own: Tensor) =>
        concat([cast(entriesAt(kept, expandDims(latest, 1)), own.dtype), own], 2);
      const near = { key: behind(memory.keys, own.key), value: behind(memory.values, own.value) };
      const ownSeen = seenOf(view.keyMask, x);
      const keyMask = concat([takeAlongAxis(memory.seen, latest), ownSeen], 1);
      const { mixed, map } = local(q, near, { ...view, keyMask }, context);
      const far = fromMemory(q, memory, cast(memory.seen, "bool"), neighbours);
      const y = projections.fromHeads(params.out, gated(params.gate, mixed, far), context);
      return { y, map, state: { ...state, segment: appended(memory, own, ownSeen) } };
    },
    recurrent: {
      start: (batch, capacity) => {
        const room = Math.min(capacity, memoryLength + 1 + entries);
        return { key: empty(batch, room), value: empty(batch, room) };
      },
      step: (params, x, state: KeyValueCache, { position, view }) => {
        const { q, own } = project(params, x, view);
        const room = state.key.shape[2]!;
        const slot = placesFrom(reshape(position, [1]), 1, room);
        const kept = {
          key: withEntriesAt(state.key, slot, own.key),
          value: withEntriesAt(state.value, slot, own.value),
        };
        const reach = Math.min(memoryLength + 1, room);
        const first = sub(position, reach - 1);
        const places = expandDims(placesFrom(reshape(first, [1]), reach, room), 1);
        const near = { key: entriesAt(kept.key, places), value: entriesAt(kept.value, places) };
        const positions = add(iota(reach), first);
        const nearView = viewOfSlots(view, position, positions, greaterEqual(positions, 0));
        const { mixed } = local(q, near, nearView, {});
        if (room <= memoryLength + 1) return { y: projections.fromHeads(params.out, mixed, {}), state: kept };
        const slots = slotPositions(position, room);
        const left = and(greaterEqual(slots, 0), less(slots, first));
        const memory = { keys: kept.key, values: kept.value };
        const far = fromMemory(q, memory, expandDims(left, 0), Math.min(neighbours, room));
        return { y: projections.fromHeads(params.out, gated(params.gate, mixed, far), {}), state: kept };
      },
    },
  };
}

/** `count` places of a ring of `size`, from the place of position `from` on: int32 [B] → [B, count]. */
function placesFrom(from: Tensor, count: number, size: number): Tensor {
  return mod(add(expandDims(from, 1), iota(count)), size);
}

/** The memory after a segment, whose last E positions it takes, without gradients. */
function appended({ keys, values, seen, next }: KnnMemoryState, own: KeyValueCache, ownSeen: Tensor): KnnMemoryState {
  const [length, entries] = [own.key.shape[2]!, keys.shape[2]!];
  const count = Math.min(length, entries);
  const places = placesFrom(add(next, length - count), count, entries);
  const write = (kept: Tensor, own: Tensor) =>
    withEntriesAt(kept, places, cast(stopGradient(slice(own, 2, length - count)), kept.dtype));
  const rows = add(places, mul(expandDims(iota(seen.shape[0]!), 1), entries));
  return {
    keys: write(keys, own.key),
    values: write(values, own.value),
    seen: reshape(scatterSet(reshape(seen, [-1]), rows, newest(ownSeen, count)), seen.shape),
    next: mod(add(next, length), entries),
  };
}

/** `x·rsqrt(Σx² + 1e-6)` over the last axis: vectors of length 1, and 0 where there is nothing. */
export function unit(x: Tensor): Tensor {
  return div(x, sqrt(add(sum(mul(x, x), { axes: -1, keepDims: true }), 1e-6)));
}

/** What queries find in a memory. */
export type Found = {
  /** [B, H, T, D] */
  readonly mixed: Tensor;
  /** 1 for queries that found something, else 0, float32 [B, H, T, 1]. */
  readonly any: Tensor;
  /** Where the neighbours are, best first, int32 [B, H, T, k], and their weights, float32 [B, H, T, k]. */
  readonly places: Tensor;
  readonly weights: Tensor;
};

/**
 * Softmax attention to the `count` nearest keys of a memory, for each head and query. Gradients go to the queries alone.
 *
 * @param q unit vectors times the scale of their head, [B, H, T, D]
 * @param seen which entries may be found, bool [1 or B, E]
 */
export function fromMemory(
  q: Tensor,
  { keys, values }: Pick<KnnMemoryState, "keys" | "values">,
  seen: Tensor,
  count: number,
): Found {
  const query = cast(q, "float32");
  const { places, found } = nearestKeys(query, keys, { count, seen });
  const products = matmul(expandDims(query, 3), entriesAt(keys, places), { transposeB: true });
  const logits = where(found, reshape(products, places.shape), hidden);
  const weights = softmax(logits);
  const mixed = reshape(matmul(expandDims(weights, 3), entriesAt(values, places)), q.shape);
  const any = cast(slice(found, -1, 0, 1), "float32");
  return { mixed: cast(mixed, q.dtype), any, places, weights };
}

/** `(1 − g)·near + g·far` with `g = σ(gate_h)`; `near` alone for queries that found nothing. gate [H], near [B, H, T, D] */
export function gated(gate: Tensor, near: Tensor, { mixed, any }: Pick<Found, "mixed" | "any">): Tensor {
  const share = mul(reshape(sigmoid(gate), [gate.shape[0]!, 1, 1]), cast(any, near.dtype));
  return add(near, mul(share, sub(mixed, near)));
}
