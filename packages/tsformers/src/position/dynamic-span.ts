import {
  add,
  type Concrete,
  cast,
  constant,
  expandDims,
  fromNumbers,
  full,
  gather,
  matmul,
  mean,
  mul,
  sigmoid,
  slice,
  splitKey,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import { distances } from "../attention/core/by-distance.ts";
import { cacheDecoding } from "../attention/core/cached-entries.ts";
import { prepareScores } from "../attention/core/executor.ts";
import type { Positions, Recurrent, Score, SoftmaxMixer, View } from "../kinds/index.ts";
import { within } from "../nn/dropout.ts";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { sumOfLosses } from "../nn/losses.ts";
import { logMask, type SpanOptions, softMask } from "./adaptive-span.ts";

/** weight [H, C], bias [H] */
export type DynamicSpanParams<Inner> = { span: { weight: Tensor; bias: Tensor }; inner: Inner };

export type DynamicSpanOptions = SpanOptions & {
  readonly modelWidth: number;
  readonly heads: number;
  /** Weight of the mean span in the training loss. Default: 2e-6. */
  readonly penalty?: number;
  /** Initial bias of the sigmoid; negative values make spans start short. Default: −4. */
  readonly startBias?: number;
  readonly initial?: Initial;
};

/**
 * Attention with a span computed from each query: an adaptive span that depends on the input.
 *
 * `z_t = S·σ(v_h·x_t + b_h)`; weights fade out beyond it as in {@link adaptiveSpan}. Its loss is `penalty·S·mean(z/S)`.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   that of the attention, plus a few passes over its logits
 * @source Sukhbaatar et al. 2019, §3, "Dynamic attention span", arXiv:1905.07799
 */
export function dynamicSpan<Inner>(
  inner: SoftmaxMixer<Inner>,
  options: DynamicSpanOptions,
): SoftmaxMixer<DynamicSpanParams<Inner>> {
  const { modelWidth, heads, penalty = 2e-6, startBias = -4, initial = normalInitial() } = options;
  // Its own way of going on knows nothing of spans.
  const { recurrent: _, ...traits } = inner;
  const mixer: SoftmaxMixer<DynamicSpanParams<Inner>> = {
    ...traits,
    keysAndValues: (params, source, view) => inner.keysAndValues(params.inner, source, view),
    init: (key): Concrete<DynamicSpanParams<Inner>> => {
      const [own, rest] = splitKey(key, 2);
      const span = { weight: initial(own!, [heads, modelWidth]), bias: full([heads], startBias) };
      return { span, inner: inner.init(rest!) } as Concrete<DynamicSpanParams<Inner>>;
    },
    apply: (params, input, context) => {
      const shares = spanShares(input.x, params.span);
      const view = fading(input.view, mul(shares, options.maxSpan), options);
      const out = inner.apply(params.inner, { ...input, view }, within(context, "span"));
      const own = mul(mean(shares), penalty * options.maxSpan);
      return { ...out, losses: sumOfLosses([out.losses, { span: own }]) };
    },
  };
  return { ...mixer, recurrent: cacheDecoding(mixer) as Recurrent<DynamicSpanParams<Inner>, never> };
}

/** Span shares `σ(v_h·x_t + b_h)`: x [B, T, C] → float32 [B, H, T, 1] */
export function spanShares(x: Tensor, { weight, bias }: { weight: Tensor; bias: Tensor }): Tensor {
  const wanted = add(matmul(x, weight, { transposeB: true }), bias);
  return cast(sigmoid(expandDims(transpose(wanted, [0, 2, 1]), -1)), "float32");
}

/** A view in which weights also fade out beyond the span z [B, H, T, 1] of each query. */
export function fading(view: View, z: Tensor, options: SpanOptions): View {
  const scores = (positions: Positions): Score => {
    const own = view.scores?.(positions);
    const each = distances(positions);
    const mask = softMask(
      cast(each.shape.length === 2 ? each : expandDims(each, 1), "float32"),
      ofQueries(z, positions, view),
      options,
    );
    return {
      ...own,
      logits: (logits, of) => add(own?.logits(logits, of) ?? logits, logMask(mask)),
    };
  };
  const changed = { ...view, scores };
  return { ...changed, prepared: prepareScores(changed) };
}

/**
 * The rows of z [B, H, T, 1] that belong to a block of queries.
 *
 * @throws TypeError when it cannot be told from positions which queries a block holds
 */
function ofQueries(z: Tensor, { query, lines, heads }: Positions, view: View): Tensor {
  const index = heads && constant(fromNumbers(heads, [heads.length], "int32"));
  const own = index === undefined ? z : gather(z, index, 1);
  const count = query.shape.at(-1)!;
  if (lines !== undefined) return slice(own, 2, lines.query, lines.query + count);
  if (view.offset === undefined && view.positions.lines !== undefined) return gather(own, query, 2);
  if (count === z.shape[2]) return own;
  throw new TypeError("dynamicSpan: positions must count from 0 where queries are computed in blocks");
}
