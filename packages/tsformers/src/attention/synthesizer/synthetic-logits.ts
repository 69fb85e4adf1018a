import {
  type Concrete,
  concat,
  constant,
  expandDims,
  gather,
  matmul,
  mul,
  ones,
  type RandomKey,
  randomKey,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  splitKey,
  sub,
  type Tensor,
} from "@tsformers/engine";
import type { Rotation } from "../../kinds/index.ts";
import { type Initial, normalInitial, zerosInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { splitHeads } from "../softmax/attention.ts";

/**
 * Logits [B, H, T, S] before they are computed: a product of rows and columns, or a function of the rows of some queries. B may be 1.
 */
export type SourceLogits = {
  /** A row per query, [B, H, T, E]. */
  readonly rows: Tensor;
} & (
  | {
      /** A row per key, [B, H, S, E]. */
      readonly columns: Tensor;
      /** Whether the columns are computed from the inputs, so that the decode state has to keep them. */
      readonly ofInputs?: true;
    }
  | {
      /** Logits of R queries for keys [from, to): rows → [B, H, R, to − from]. */
      logits(rows: Tensor, from: number, to: number): Tensor;
    }
);

/** One source of logits. */
export type LogitSource<Params> = {
  /** The longest sequence, in positions. */
  readonly length: number;
  /** It is a product of queries and keys, which rotary positions rotate and the decode state keeps. */
  readonly turns?: true;
  init(key: RandomKey): Concrete<Params>;
  /**
   * @param keys number of columns; `at`: position of x [B, 1, C] (int32 scalar) if it is a single decoding step
   */
  prepare(
    params: Params,
    x: Tensor,
    of: { readonly keys: number; readonly at?: Tensor; readonly rotate?: Rotation },
  ): SourceLogits;
};

type HeadSize = { readonly modelWidth: number; readonly heads: number };
type TableSize = {
  readonly heads: number;
  /** N: the longest sequence, in positions. */
  readonly length: number;
  readonly initial?: Initial;
};

export type DenseLogitParams = { hidden: LinearParams; columns: Tensor; bias: Tensor };

/**
 * Dense Synthesizer: every position computes its own row of logits, `relu(x·W₁ + b₁)·W₂ + b₂`, the first S columns. Not scaled.
 *
 * @shape  W₁ [C, H·E], columns (W₂ᵀ of each head) [H, N, E], bias [H, N]
 * @source Tay et al. 2021, "Synthesizer: Rethinking Self-Attention in Transformer Models", §3.1, arXiv:2005.00743
 */
export function denseLogits(
  options: HeadSize & TableSize & { /** E. Default: modelWidth / heads. */ readonly hiddenWidth?: number },
): LogitSource<DenseLogitParams> {
  const { modelWidth, heads, length, initial = normalInitial() } = options;
  const width = options.hiddenWidth ?? modelWidth / heads;
  const hidden = linear(modelWidth, heads * width, { initial });
  return {
    length,
    init: (key) => {
      const [first, second, bias] = splitKey(key, 3);
      return {
        hidden: hidden.init(first!),
        columns: initial(second!, [heads, length, width]),
        bias: zerosInitial(bias!, [heads, length]),
      };
    },
    prepare: ({ hidden: own, columns, bias }, x, { keys }) => {
      const rows = relu(splitHeads(hidden.apply(own, x), heads));
      // The bias of a key is an extra column, which every query multiplies by 1.
      const whole = concat([columns, expandDims(bias, -1)], -1);
      return {
        rows: concat([rows, ones([...rows.shape.slice(0, -1), 1], rows.dtype)], -1),
        columns: expandDims(slice(whole, 1, 0, keys), 0),
      };
    },
  };
}

export type TableLogitParams = { table?: Tensor };

/**
 * Random Synthesizer: one table of logits for all sequences, `R[h, t, s]`, its first T rows and S columns. Not scaled.
 *
 * @param options `seed`: draws the table once, which is then neither trained nor a parameter. Default: the table is learned
 * @shape  table [H, N, N]
 * @source Tay et al. 2021, §3.2
 */
export function tableLogits(options: TableSize & { readonly seed?: number }): LogitSource<TableLogitParams> {
  const { heads, length, seed, initial = normalInitial(1) } = options;
  const draw = (key: RandomKey) => initial(key, [heads, length, length]);
  return {
    length,
    init: (key): Concrete<TableLogitParams> => (seed === undefined ? { table: draw(key) } : {}),
    prepare: ({ table }, x, { keys, at }) => ({
      rows: slice(rowsAt(table ?? constant(draw(randomKey(seed!))), x, at), -1, 0, keys),
      logits: (rows, from, to) => slice(rows, -1, from, to),
    }),
  };
}

/** The rank of factorised tables, as in the paper. */
export const factorisedRank = 8;

export type FactorisedTableParams = { rows: Tensor; columns: Tensor };

/**
 * Factorised Random Synthesizer: {@link tableLogits} of low rank, `R = R₁·R₂ᵀ`.
 *
 * @param options `rank`. Default: 8, as in the paper
 * @shape  rows, columns [H, N, rank]
 * @source Tay et al. 2021, §3.2
 */
export function factorisedTableLogits(
  options: TableSize & { readonly rank?: number },
): LogitSource<FactorisedTableParams> {
  const { heads, length, rank = factorisedRank } = options;
  // A sum of `rank` products then has standard deviation 1, like the entries of the whole table.
  const initial = options.initial ?? normalInitial(rank ** -0.25);
  return {
    length,
    init: (key) => {
      const [rows, columns] = splitKey(key, 2);
      return { rows: initial(rows!, [heads, length, rank]), columns: initial(columns!, [heads, length, rank]) };
    },
    prepare: ({ rows, columns }, x, { keys, at }) => ({
      rows: rowsAt(rows, x, at),
      columns: expandDims(slice(columns, 1, 0, keys), 0),
    }),
  };
}

export type FactorisedDenseParams = { minor: LinearParams; major: LinearParams };

/**
 * Factorised Dense Synthesizer: {@link denseLogits} as products of two short rows,
 * `logits[t, s] = A[t, s mod a] · B[t, ⌊s / a⌋]` with `A = x·W_a`, `B = x·W_b`.
 *
 * @param options `minorWidth`: a, where b is ⌈N / a⌉. Default: ⌈√N⌉
 * @shape  W_a [C, H·a], W_b [C, H·b]
 * @source Tay et al. 2021, §3.2.1
 */
export function factorisedDenseLogits(
  options: HeadSize & TableSize & { readonly minorWidth?: number },
): LogitSource<FactorisedDenseParams> {
  const { modelWidth, heads, length, initial = normalInitial() } = options;
  const minorWidth = options.minorWidth ?? Math.ceil(Math.sqrt(length));
  const minor = linear(modelWidth, heads * minorWidth, { bias: false, initial });
  const major = linear(modelWidth, heads * Math.ceil(length / minorWidth), { bias: false, initial });
  return {
    length,
    init: (key) => {
      const [first, second] = splitKey(key, 2);
      return { minor: minor.init(first!), major: major.init(second!) };
    },
    prepare: (params, x) =>
      productsOf(splitHeads(minor.apply(params.minor, x), heads), splitHeads(major.apply(params.major, x), heads)),
  };
}

/** minor [B, H, T, a], major [B, H, T, b] → logits `minor[s mod a] · major[⌊s / a⌋]` of at most a·b keys. */
export function productsOf(minor: Tensor, major: Tensor): SourceLogits {
  const width = minor.shape.at(-1)!;
  return {
    rows: concat([minor, major], -1),
    logits: (rows, from, to) => {
      const [first, last] = [Math.floor(from / width), Math.ceil(to / width)];
      const a = slice(rows, -1, 0, width);
      const b = slice(rows, -1, width + first, width + last);
      // As a matrix product with one term its gradient is two products; that of `mul` would be two passes and two
      // sums.
      const products = reshape(matmul(expandDims(b, -1), expandDims(a, -2)), [...rows.shape.slice(0, -1), -1]);
      return slice(products, -1, from - first * width, to - first * width);
    },
  };
}

export type DotProductParams = { query: LinearParams; key: LinearParams };

/** The logits of softmax attention, `q·kᵀ / √D`, as one source among others; there can be only one of these. */
export function dotProductLogits(
  options: HeadSize & { readonly bias?: boolean; readonly initial?: Initial },
): LogitSource<DotProductParams> {
  const { modelWidth, heads, bias = true, initial = normalInitial() } = options;
  const toHeads = linear(modelWidth, modelWidth, { bias, initial });
  return {
    length: Number.POSITIVE_INFINITY,
    turns: true,
    init: (key) => {
      const [query, own] = splitKey(key, 2);
      return { query: toHeads.init(query!), key: toHeads.init(own!) };
    },
    prepare: (params, x, { rotate }) => {
      const [q, k] = [params.query, params.key].map((own) => splitHeads(toHeads.apply(own, x), heads)) as [
        Tensor,
        Tensor,
      ];
      return dotProduct(rotate?.query(q) ?? q, rotate?.key(k) ?? k);
    },
  };
}

/** q [B, H, T, D], k [B, H, S, D] → `q·kᵀ / √D` */
export function dotProduct(q: Tensor, k: Tensor): SourceLogits {
  return { rows: mul(q, 1 / Math.sqrt(q.shape.at(-1)!)), columns: k, ofInputs: true };
}

/** The rows of a table [H, N, …] at the positions of x [B, T, C]: [1, H, T, …]. */
function rowsAt(table: Tensor, x: Tensor, at: Tensor | undefined): Tensor {
  const rows = at === undefined ? slice(table, 1, 0, x.shape[1]!) : gather(table, reshape(at, [1]), 1);
  return expandDims(rows, 0);
}

/** How the logits of several sources are combined. */
export type Mixture<Params> = {
  /** Number of sources it takes. Default: any. */
  readonly sources?: number;
  init(key: RandomKey, sources: number): Concrete<Params>;
  /** Factor of each source's logits, broadcast to [B, H, T, S]; undefined: 1. */
  factors(params: Params, sources: number): readonly Tensor[] | undefined;
};

/** `Σ logits`: mesh-tensorflow's "plus". */
export const plainSum: Mixture<Record<string, never>> = { init: () => ({}), factors: () => undefined };

/**
 * `(1 − σ(α))·logits₀ + σ(α)·logits₁` with one α per head, initially 0: mesh-tensorflow's "plus alpha".
 *
 * @shape  alpha [H]
 */
export function headWeighted(heads: number): Mixture<{ alpha: Tensor }> {
  return {
    sources: 2,
    init: (key) => ({ alpha: zerosInitial(key, [heads]) }),
    factors: ({ alpha }) => {
      const share = reshape(sigmoid(alpha), [1, heads, 1, 1]);
      return [sub(1, share), share];
    },
  };
}

/**
 * `Σ_i softmax(α)_i·logits_i`, α initially 0.
 *
 * @shape  alpha [sources]
 * @source Tay et al. 2021, §3.3, "Mixture of Synthesizers"
 */
export const softmaxWeighted: Mixture<{ alpha: Tensor }> = {
  init: (key, sources) => ({ alpha: zerosInitial(key, [sources]) }),
  factors: ({ alpha }, sources) => {
    const shares = softmax(alpha);
    return Array.from({ length: sources }, (_, i) => reshape(slice(shares, 0, i, i + 1), [1, 1, 1, 1]));
  },
};
