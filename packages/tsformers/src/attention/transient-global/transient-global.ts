import {
  add,
  type Concrete,
  cast,
  concat,
  constant,
  equal,
  expandDims,
  fromNumbers,
  gather,
  iota,
  lessEqual,
  matmul,
  max,
  minimum,
  mul,
  reshape,
  slice,
  splitKey,
  sub,
  sum,
  type Tensor,
  transpose,
  where,
} from "@tsformers/engine";
import type { KeyValueCache, Mixer, Positions, Score, View } from "../../kinds/index.ts";
import { type Initial, normalInitial } from "../../nn/initial.ts";
import type { Norm, NormParams } from "../../nn/norm.ts";
import { type BucketOptions, bidirectionalBuckets } from "../../position/t5-bias.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { headProjections, oneSequence } from "../core/head-projections.ts";
import { requireSupport } from "../core/require-support.ts";
import { uniteRuns } from "../core/runs.ts";
import { makeView } from "../core/view.ts";
import type { Pattern } from "../patterns/pattern.ts";
import { slidingWindow } from "../patterns/window.ts";
import { type AttentionOptions, type AttentionParams, attention } from "../softmax/attention.ts";

export type TransientGlobalOptions = AttentionOptions & {
  /** r: how far positions see to each side. */
  readonly radius: number;
  /** Positions whose sum is a global token. */
  readonly block: number;
  /** Of these sums. */
  readonly norm: Norm;
  /** Buckets of the distance, in blocks, from a position to a global token. */
  readonly distances?: BucketOptions;
  /** Which layer of its stack it is: the first one has the biases of distances to global tokens for all. */
  readonly layer: number;
};

export type TransientGlobalParams = AttentionParams & {
  globalNorm: NormParams;
  /** [buckets, H], of the first layer. */
  globalBias?: { weight: Tensor };
};

const name = "transient-global attention";
const refusals = { rotation: "sums of positions stand nowhere in particular" };

/**
 * LongT5's transient-global attention: a position sees its neighbours and, under the same softmax, a token for each block of the sequence, which
 * is made of the block's positions anew in each layer and is gone after it.
 *
 * `g_m = norm(Σ_{i of block m} x_i)`, `y_t = softmax(q_t·k_S + bias)·v_S`, `S = {s : |s − t| ≤ r} ∪ {g_0, g_1, …}`, keys and values of g_m by
 * the projections of x; `bias[t, g_m] = table[bucket(m − ⌊t / block⌋)]`. Positions behind the last whole block belong to it.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·(2r + 1 + T / block)·C) time; memory: {@link attend}
 * @source Guo et al. 2022, "LongT5: Efficient Text-To-Text Transformer for Long Sequences", §2.1.2, arXiv:2112.07916
 */
export function transientGlobal(options: TransientGlobalOptions): Mixer<TransientGlobalParams> {
  const { modelWidth, heads, radius, block, layer, distances = {}, dropoutRate = 0, scale } = options;
  for (const [size, least] of [
    ["radius", 0],
    ["block", 1],
  ] as const)
    if (!(Number.isInteger(options[size]) && options[size] >= least))
      throw new RangeError(`${name}: ${size} must be a whole number of at least ${least}, got ${options[size]}`);
  const own = attention(options);
  const projections = headProjections(name, options);
  const norm = options.norm(modelWidth);
  const near = slidingWindow({ before: radius, after: radius });
  return {
    name,
    sees: "all",
    shareParams: (params, first) => {
      const { globalBias } = first as TransientGlobalParams;
      return { ...(params as object), globalBias };
    },
    init: (key): Concrete<TransientGlobalParams> => {
      const [a, b, c] = splitKey(key, 3);
      const { buckets = 32 } = distances;
      const initial: Initial = normalInitial();
      const shared = layer === 0 ? { globalBias: { weight: initial(c!, [buckets, heads]) } } : {};
      return { ...own.init(a!), globalNorm: norm.init(b!), ...shared };
    },
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view } = input;
      requireSupport(name, view, refusals);
      const length = x.shape[1]!;
      const count = Math.floor(length / block);
      const blocks = blocksOf(view.keyMask, length, block);
      const globals = count === 0 ? undefined : norm.apply(params.globalNorm, sumsOf(x, blocks, count));
      const entries = withGlobals(
        own.keysAndValues(params, x, view),
        globals && own.keysAndValues(params, globals, {}),
      );
      const keyMask = view.keyMask && concat([filledBlocks(blocks, count), real(view.keyMask)], 1);
      const bias = params.globalBias && blockBias(params.globalBias.weight, blocks, count, distances);
      const { mixed } = attend(projections.toHeads(params.query, x), entries, {
        view: makeView({
          pattern: behindGlobals(near, count),
          queries: length,
          keys: count + length,
          ...present({ keyMask, blindAverage: view.blindAverage, scores: scoresBehind(count, bias, view.scores) }),
        }),
        scale: scale ?? projections.headWidth ** -0.5,
        dropoutRate,
        context,
      });
      return { y: projections.fromHeads(params.out, mixed, context) };
    },
  };
}

const real = (mask: Tensor): Tensor => cast(cast(mask, "bool"), "float32");

/**
 * The block of each position; those behind the last block whose end is real belong to that block. −1: padding, or there is no block.
 *
 * @shape mask [B, T] → int32 [B, T]; without a mask [1, T]
 */
function blocksOf(mask: Tensor | undefined, length: number, block: number): Tensor {
  const row = (of: (t: number) => number) => {
    const numbers = Array.from({ length }, (_, t) => of(t));
    return constant(fromNumbers(numbers, [1, length], "int32"));
  };
  const last = Math.floor(length / block) - 1;
  if (mask === undefined) return row((t) => Math.min(Math.floor(t / block), last));
  const isReal = cast(cast(mask, "bool"), "int32");
  const ends = sum(
    mul(
      isReal,
      row((t) => (t % block === block - 1 ? 1 : 0)),
    ),
    { axes: 1, keepDims: true },
  );
  const own = where(
    cast(mask, "bool"),
    row((t) => Math.floor(t / block)),
    -1,
  );
  return minimum(own, sub(ends, 1));
}

/** x [B, T, C] → sums of blocks, [B, G, C] */
function sumsOf(x: Tensor, blocks: Tensor, count: number): Tensor {
  const isOf = equal(reshape(iota(count), [1, count, 1]), expandDims(blocks, 1));
  return matmul(cast(isOf, x.dtype), x);
}

/** 1 for the blocks that a row has, float32 [B, G]. */
function filledBlocks(blocks: Tensor, count: number): Tensor {
  return cast(lessEqual(expandDims(iota(count), 0), max(blocks, { axes: 1, keepDims: true })), "float32");
}

function withGlobals(own: KeyValueCache, globals: KeyValueCache | undefined): KeyValueCache {
  if (globals === undefined) return own;
  return { key: concat([globals.key, own.key], 2), value: concat([globals.value, own.value], 2) };
}

/** A pattern behind global tokens that every query sees. */
function behindGlobals(pattern: Pattern, count: number): Pattern {
  return {
    name: `${pattern.name} and ${count} global`,
    keys: (query, length) =>
      uniteRuns(
        [0, count],
        pattern.keys(query, length - count).map((at) => at + count),
      ),
  };
}

/** The biases of some queries towards all global tokens, [B, H, to − from, G]. */
type BlockBias = (from: number, to: number) => Tensor;

function blockBias(table: Tensor, blocks: Tensor, count: number, distances: BucketOptions): BlockBias | undefined {
  if (count === 0) return undefined;
  const bucketOf = bidirectionalBuckets(distances);
  // Row i holds the biases of positions of block i − 1.
  const buckets = Array.from({ length: (count + 1) * count }, (_, i) =>
    bucketOf((i % count) - Math.floor(i / count) + 1),
  );
  const ofBlocks = transpose(gather(table, constant(fromNumbers(buckets, [count + 1, count], "int32"))), [0, 2, 1]);
  return (from, to) => transpose(gather(ofBlocks, add(slice(blocks, 1, from, to), 1)), [0, 2, 1, 3]);
}

/** Scores of keys that stand behind global tokens, and the biases of these. */
function scoresBehind(
  count: number,
  bias: BlockBias | undefined,
  scores: View["scores"],
): ((positions: Positions) => Score) | undefined {
  if (bias === undefined) return scores;
  return (positions) => {
    const { query: from, keys } = positions.lines!;
    const near = scores?.({
      query: positions.query,
      key: sub(slice(positions.key, -1, count), count),
      lines: { query: from, keys: keys.flatMap((run) => behind(run, count)) },
    });
    return {
      logits: (logits, of) => {
        const own = slice(logits, -1, count);
        const local = near?.logits(own, { ...of, key: slice(of.key, 2, count) }) ?? own;
        const added = cast(bias(from, from + logits.shape[2]!), logits.dtype);
        return concat([add(slice(logits, -1, 0, count), added), local], -1);
      },
    };
  };
}

type Run = { readonly from: number; readonly length: number };

/** The part of a run of keys that lies behind `count` others, counted from there. */
function behind({ from, length }: Run, count: number): Run[] {
  const start = Math.max(from, count);
  return start < from + length ? [{ from: start - count, length: from + length - start }] : [];
}
