import {
  add,
  type Concrete,
  cast,
  concat,
  expandDims,
  iota,
  matmul,
  mul,
  pad,
  reshape,
  scatterSet,
  slice,
  softmax,
  split,
  splitKey,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { dropout, within } from "../nn/dropout.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import type { Context } from "../nn/layer.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { KeyValueCache, Mixer, View } from "./kinds.ts";

export type AttentionParams = { query: LinearParams; key: LinearParams; value: LinearParams; out: LinearParams };

export type AttentionOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** Heads of keys and values, each shared by heads / keyValueHeads query heads; `heads` unless told. */
  readonly keyValueHeads?: number;
  /** modelWidth / heads unless told. */
  readonly headWidth?: number;
  /** Factor of the logits; 1/√headWidth unless told. */
  readonly scale?: number;
  readonly bias?: boolean;
  readonly outBias?: boolean;
  /** Applied to queries, keys and values; MPT clips them. */
  readonly project?: (x: Tensor) => Tensor;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
  readonly outInitial?: Initial;
};

/**
 * Multi-head softmax attention: `softmax(q·kᵀ·scale + mask)·v`, heads side by side, then projected back.
 *
 * Position schemes and patterns come in through the view; keys and values may be those of another sequence (`known`) or cached.
 *
 * @shape  x [B, T, C] → y [B, T, C], probabilities [B, H, T, S]
 * @cost   O(B·H·T·S·D) time, O(B·H·T·S) memory
 * @source Vaswani et al. 2017, "Attention Is All You Need", §3.2, arXiv:1706.03762; grouped heads: Ainslie et al. 2023,
 *   arXiv:2305.13245
 */
export function attention(options: AttentionOptions): Mixer<AttentionParams> {
  const { modelWidth, heads, keyValueHeads = heads, dropoutRate = 0, bias = true, initial = normalInitial() } = options;
  const headWidth = options.headWidth ?? modelWidth / heads;
  if (!Number.isInteger(headWidth) || heads % keyValueHeads !== 0) {
    throw new RangeError(
      `attention: modelWidth ${modelWidth} and keyValueHeads ${keyValueHeads} do not divide into ${heads} heads`,
    );
  }
  const scale = options.scale ?? 1 / Math.sqrt(headWidth);
  const toQuery = linear(modelWidth, heads * headWidth, { bias, initial });
  const toKeyOrValue = linear(modelWidth, keyValueHeads * headWidth, { bias, initial });
  const outBias = options.outBias ?? bias;
  const toOut = linear(heads * headWidth, modelWidth, { bias: outBias, initial: options.outInitial ?? initial });
  const project = options.project ?? same;
  const keysAndValues = (params: AttentionParams, source: Tensor, view: View): KeyValueCache => {
    const key = splitHeads(project(toKeyOrValue.apply(params.key, source)), keyValueHeads);
    const value = splitHeads(project(toKeyOrValue.apply(params.value, source)), keyValueHeads);
    return { key: view.rotate?.key(key) ?? key, value: view.rotate?.value?.(value) ?? value };
  };
  const attend = (q: Tensor, { key, value }: KeyValueCache, view: View, context: Context): Attended => {
    if (view.blocks !== undefined) return attendInBlocks(q, { key, value }, view.blocks, context, attend);
    // Softmax stays in float32, also where the model computes in float16.
    const raw = cast(groupedProduct(q, key, { transposeB: true, scale }), "float32");
    const scored = view.score === undefined ? raw : view.score(raw);
    const probabilities = cast(softmax(view.mask === undefined ? scored : add(scored, view.mask)), q.dtype);
    const mixed = groupedProduct(dropout(probabilities, dropoutRate, context, "attention"), value, {});
    return { mixed: view.seesAny === undefined ? mixed : mul(mixed, cast(view.seesAny, mixed.dtype)), probabilities };
  };
  return {
    keysAndValues,
    cacheShape: [keyValueHeads, headWidth],
    init: (key): Concrete<AttentionParams> => {
      const [q, k, v, o] = splitKey(key, 4);
      return { query: toQuery.init(q!), key: toKeyOrValue.init(k!), value: toKeyOrValue.init(v!), out: toOut.init(o!) };
    },
    apply: (params, { x, known, view, cache }, context) => {
      const query = splitHeads(project(toQuery.apply(params.query, x)), heads);
      const q = view.rotate?.query(query) ?? query;
      const own = known ?? keysAndValues(params, x, view);
      const entries = cache === undefined ? own : writeCache(cache.entries, own, cache.length);
      const { mixed, probabilities } = attend(q, entries, view, context);
      const y = dropout(toOut.apply(params.out, joinHeads(mixed)), dropoutRate, context, "out");
      return { y, probabilities, ...(cache === undefined ? {} : { cache: entries }) };
    },
  };
}

const same = (x: Tensor): Tensor => x;

/** [B, T, H·D] → [B, H, T, D] */
export function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, length, width] = x.shape as [number, number, number];
  return transpose(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
}

/** [B, H, T, D] → [B, T, H·D] */
export function joinHeads(x: Tensor): Tensor {
  const [batch, heads, length, width] = x.shape as [number, number, number, number];
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, heads * width]);
}

/** [B, H, T, D], and the weights [B, H, T, S] that made it. */
type Attended = { readonly mixed: Tensor; readonly probabilities: Tensor };

/** Block by block of queries, each with its span of keys; the weights are padded with zeros where they do not look. */
function attendInBlocks(
  q: Tensor,
  { key, value }: KeyValueCache,
  blocks: NonNullable<View["blocks"]>,
  context: Context,
  attend: (q: Tensor, entries: KeyValueCache, view: View, context: Context) => Attended,
): Attended {
  const count = key.shape[2]!;
  const queries = split(
    q,
    blocks.map(({ queries: [from, to] }) => to - from),
    2,
  );
  const parts = blocks.map(({ keys: [low, high], view }, i) => {
    const entries = { key: slice(key, 2, low, high), value: slice(value, 2, low, high) };
    return attend(queries[i]!, entries, view, within(context, i));
  });
  const padded = parts.map(({ probabilities }, i) => {
    const [low, high] = blocks[i]!.keys;
    return pad(probabilities, [
      [0, 0],
      [0, 0],
      [0, 0],
      [low, count - high],
    ]);
  });
  return {
    mixed: concat(
      parts.map(({ mixed }) => mixed),
      2,
    ),
    probabilities: concat(padded, 2),
  };
}

/** A product of [B, H, ·, ·] with [B, K, ·, ·], each of the K shared by H/K consecutive heads. */
function groupedProduct(a: Tensor, b: Tensor, options: { transposeB?: boolean; scale?: number }): Tensor {
  const [batch, heads, ...rows] = a.shape as [number, number, number, number];
  const shared = b.shape[1]!;
  if (heads === shared) return matmul(a, b, options);
  const grouped = matmul(reshape(a, [batch, shared, heads / shared, ...rows]), expandDims(b, 2), options);
  return reshape(grouped, [batch, heads, ...grouped.shape.slice(-2)]);
}

/** Writes T new entries behind the first `length`: rows of the cache seen as [B·K·L, D]. */
function writeCache(old: KeyValueCache, own: KeyValueCache, length: Tensor): KeyValueCache {
  const [batch, heads, capacity, width] = old.key.shape as [number, number, number, number];
  const count = own.key.shape[2]!;
  const first = mul(iota(batch * heads), capacity);
  const rows = reshape(add(expandDims(first, 1), add(iota(count), length)), [-1]);
  const write = (into: Tensor, entries: Tensor) =>
    reshape(scatterSet(reshape(into, [-1, width]), rows, reshape(entries, [-1, width])), [
      batch,
      heads,
      capacity,
      width,
    ]);
  return { key: write(old.key, own.key), value: write(old.value, own.value) };
}
