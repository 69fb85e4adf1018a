import {
  add,
  broadcastTo,
  type Concrete,
  expandDims,
  matmul,
  relu as reluFunction,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { Context, Layer } from "../../kinds/layer.ts";
import { within } from "../../nn/dropout.ts";
import { type FeedForward, mlp, relu } from "../../nn/feed-forward.ts";
import { glorotUniform, type Initial, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { layerNorm, type Norm, type NormParams } from "../../nn/norm.ts";
import { present } from "../../schema/present.ts";
import { attend } from "../core/executor.ts";
import { headProjections } from "../core/head-projections.ts";
import { makeView } from "../core/view.ts";
import { fullPattern } from "../patterns/pattern.ts";
import { joinHeads } from "../softmax/attention.ts";

/** Where the paper and its authors' code differ inside a block. */
export type SetForm = {
  /** Factor of the logits. */
  scale(modelWidth: number, headWidth: number): number;
  /** The residual that attention is added to: the queries' inputs [B, T, C], or their projections. */
  residual(queries: Tensor, projected: Tensor): Tensor;
  /** Whether the joined heads have an output projection. */
  readonly out?: true;
  /** The feed-forward network, applied to each element separately. */
  ffn(modelWidth: number): FeedForward<unknown>;
  /** Whether pooling first applies such a network to the elements. */
  readonly poolsTransformed?: true;
  /** Normalisation after attention and after the network. Absent: none. */
  readonly norm?: Norm;
};

export type SetFormOptions = { readonly initial?: Initial; readonly dropoutRate?: number };

/**
 * The block of the paper: logits scaled by `1/√D`, an output projection, the queries' inputs as residual, a network of two layers,
 * layer norms.
 *
 * @param options `ffnWidth`: hidden width of the network, which the paper does not state. Default: 2 × modelWidth
 */
export function paperForm(options: SetFormOptions & { readonly ffnWidth?: number } = {}): SetForm {
  return {
    scale: (_, headWidth) => 1 / Math.sqrt(headWidth),
    residual: (queries) => queries,
    out: true,
    ffn: (modelWidth) =>
      mlp({
        ...options,
        modelWidth,
        ffnWidth: options.ffnWidth ?? 2 * modelWidth,
        activation: relu,
      }) as FeedForward<unknown>,
    poolsTransformed: true,
    norm: layerNorm(),
  };
}

/**
 * The block of the authors' code: logits scaled by `1/√C` (the width of all heads together), no output projection,
 * the projected queries as residual, a network of one layer, `relu(x·W + b)`. Default of `norm`: none.
 */
export function publishedForm(options: SetFormOptions & { readonly norm?: Norm } = {}): SetForm {
  const { initial = normalInitial() } = options;
  return {
    scale: (modelWidth) => 1 / Math.sqrt(modelWidth),
    residual: (_, projected) => projected,
    ffn: (modelWidth) => {
      const layer = linear(modelWidth, modelWidth, { initial });
      const ffn: FeedForward<LinearParams> = {
        init: layer.init,
        apply: (params, x) => reluFunction(layer.apply(params, x)),
      };
      return ffn as FeedForward<unknown>;
    },
    ...present({ norm: options.norm }),
  };
}

export type SetBlockOptions = {
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: {@link paperForm}. */
  readonly form?: SetForm;
  readonly dropoutRate?: number;
  readonly initial?: Initial;
};

export type SetOutput = { readonly y: Tensor; readonly map: () => AttentionMap };

export type MabParams = {
  query: LinearParams;
  key: LinearParams;
  value: LinearParams;
  out?: LinearParams;
  attentionNorm?: NormParams;
  ffn: unknown;
  ffnNorm?: NormParams;
};

/** A layer over one set of elements, or two; `keyMask` [B, S] is 1 for real elements of the last set. */
export type SetLayer<Params, Sets extends readonly unknown[], Output = SetOutput> = Layer<
  Params,
  [...sets: Sets, keyMask: Tensor | undefined, context: Context],
  Output
>;

/**
 * Multihead attention block: `H = LN(X + Multihead(X, Y, Y))`, then `LN(H + rFF(H))`. Invariant to the order of the
 * rows of Y.
 *
 * @shape  X [B, T, C], Y [B, S, C] → [B, T, C]
 * @cost   O(B·T·S·C) time
 * @source Lee et al. 2019, "Set Transformer", §3.1, eq. 6–7, arXiv:1810.00825
 */
export function mab(options: SetBlockOptions): SetLayer<MabParams, [queries: Tensor, elements: Tensor]> {
  const { modelWidth, form = paperForm(), dropoutRate = 0, initial = normalInitial() } = options;
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections("mab", { ...options, initial });
  const scale = form.scale(modelWidth, headWidth);
  const norm = form.norm?.(modelWidth);
  const ffn = form.ffn(modelWidth);
  return {
    init: (random): Concrete<MabParams> => {
      const [q, k, v, o, f, a, b] = splitKey(random, 7);
      const params = {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        ...(form.out && { out: initOut(o!) }),
        ...(norm !== undefined && { attentionNorm: norm.init(a!) }),
        ffn: ffn.init(f!),
        ...(norm !== undefined && { ffnNorm: norm.init(b!) }),
      };
      return params as Concrete<MabParams>;
    },
    apply: (params, queries, elements, keyMask, context) => {
      const query = toHeads(params.query, queries);
      const entries = { key: toHeads(params.key, elements), value: toHeads(params.value, elements) };
      const [keys, length] = [elements.shape[1]!, queries.shape[1]!];
      const view = makeView({ pattern: fullPattern, queries: length, keys, ...present({ keyMask }) });
      const { mixed, map } = attend(query, entries, { view, scale, dropoutRate, context });
      const attended = params.out === undefined ? joinHeads(mixed) : fromHeads(params.out, mixed, context);
      const summed = add(form.residual(queries, joinHeads(query)), attended);
      const h = norm === undefined ? summed : norm.apply(params.attentionNorm!, summed);
      const transformed = add(h, ffn.apply(params.ffn, h, within(context, "ffn")));
      return { y: norm === undefined ? transformed : norm.apply(params.ffnNorm!, transformed), map };
    },
  };
}

/** Set attention block: `MAB(X, X)`. @source Lee et al. 2019, §3.1, eq. 8 */
export function sab(options: SetBlockOptions): SetLayer<MabParams, [elements: Tensor]> {
  const block = mab(options);
  return {
    init: block.init,
    apply: (params, elements, keyMask, context) => block.apply(params, elements, elements, keyMask, context),
  };
}

/** Output of {@link isab}, with the states of the inducing points, [B, M, C]. */
export type InducedOutput = SetOutput & { readonly gathered: Tensor };

export type IsabParams = { points: Tensor; gather: MabParams; spread: MabParams };

/**
 * Induced set attention block: M learned inducing points attend to the set, and the set attends to them: `MAB(X, MAB(I, X))`.
 *
 * `map()` gives the product of the two attentions, from element to element through the points: S × S, computed when called.
 *
 * @shape  x [B, S, C] → [B, S, C]; points [M, C]
 * @cost   O(B·S·M·C) time
 * @source Lee et al. 2019, §3.1, eq. 9–10
 */
export function isab(
  options: SetBlockOptions & { readonly points: number },
): SetLayer<IsabParams, [elements: Tensor], InducedOutput> {
  const block = mab(options);
  return {
    init: (random): Concrete<IsabParams> => {
      const [p, a, b] = splitKey(random, 3);
      const points = glorotUniform()(p!, [options.points, options.modelWidth]);
      return { points, gather: block.init(a!), spread: block.init(b!) };
    },
    apply: (params, elements, keyMask, context) => {
      const points = forEach(params.points, elements);
      const gathered = block.apply(params.gather, points, elements, keyMask, within(context, "gather"));
      const spread = block.apply(params.spread, elements, gathered.y, undefined, within(context, "spread"));
      return { y: spread.y, gathered: gathered.y, map: () => through(spread.map(), gathered.map()) };
    },
  };
}

export type PmaParams = { seeds: Tensor; rows?: unknown; block: MabParams };

/**
 * Pooling by multihead attention: M learned seeds attend to the set: `MAB(S, rFF(Z))`. Invariant to the order of the
 * elements.
 *
 * @shape  z [B, S, C] → [B, M, C]; seeds [M, C]
 * @cost   O(B·S·M·C) time
 * @source Lee et al. 2019, §3.2, eq. 11
 * @differs {@link publishedForm} leaves out the rFF of Z, as the authors' code does
 */
export function pma(options: SetBlockOptions & { readonly seeds: number }): SetLayer<PmaParams, [elements: Tensor]> {
  const { form = paperForm(), modelWidth } = options;
  const block = mab({ ...options, form });
  const rows = form.poolsTransformed ? form.ffn(modelWidth) : undefined;
  return {
    init: (random): Concrete<PmaParams> => {
      const [s, a, b] = splitKey(random, 3);
      const params = {
        seeds: glorotUniform()(s!, [options.seeds, modelWidth]),
        ...(rows !== undefined && { rows: rows.init(a!) }),
        block: block.init(b!),
      };
      return params as Concrete<PmaParams>;
    },
    apply: (params, elements, keyMask, context) => {
      const looked = rows === undefined ? elements : rows.apply(params.rows, elements, within(context, "rows"));
      return block.apply(params.block, forEach(params.seeds, elements), looked, keyMask, context);
    },
  };
}

/** [M, C] → [B, M, C] */
function forEach(points: Tensor, { shape: [batch] }: Tensor): Tensor {
  return broadcastTo(expandDims(points, 0), [batch!, ...points.shape]);
}

/** The product of two attentions: what the first sees through the second. */
function through(first: AttentionMap, second: AttentionMap): AttentionMap {
  return { weights: matmul(first.weights, second.weights) };
}
