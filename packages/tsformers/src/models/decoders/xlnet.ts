import {
  broadcastTo,
  type Concrete,
  cast,
  concat,
  equal,
  expandDims,
  iota,
  ones,
  or,
  slice,
  splitKey,
  sub,
  type Tensor,
  takeAlongAxis,
  zeros,
} from "@tsformers/engine";
import * as z from "zod";
import { makeView } from "../../attention/core/view.ts";
import { fullPattern } from "../../attention/patterns/pattern.ts";
import { type AttentionParams, attention } from "../../attention/softmax/attention.ts";
import { type BlockParams, postNormBlock } from "../../blocks/block.ts";
import { resetRows } from "../../depth/states.ts";
import type { AttentionMap, Context, DepthOutput, Score, View } from "../../kinds/index.ts";
import { emptyMemory, remembered, type SegmentState, seenOf } from "../../memory/segment-memory.ts";
import { dropout, within } from "../../nn/dropout.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, gelu, type MlpParams, mlp } from "../../nn/feed-forward.ts";
import { type Head, tiedHeadWithBias } from "../../nn/head.ts";
import { normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { headWidthOf, requireCounts, requireEvenWidth, requireSizes } from "../../nn/sizes.ts";
import {
  initRelativeSegments,
  type RelativeSegmentsParams,
  relativeSegments,
} from "../../position/relative-segments.ts";
import { type TransformerXlParams, transformerXlScores } from "../../position/transformer-xl.ts";
import { present } from "../../schema/present.ts";
import { extentOf, type TokenBody, type TokensInput } from "../language-model.ts";
import {
  type EncoderEntry,
  ffnWidthOption,
  fullCost,
  initializerRangeOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { requireContent } from "../require-content.ts";
import { requireGlobalReader } from "../sights.ts";
import { type TokenFrontParams, tokenFront } from "../token-front.ts";
import type { Prediction, TwoStreamModel } from "../two-streams.ts";
import { type WithHead, withLogits } from "../with-logits.ts";

export type XlnetOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: exact GELU. */
  readonly activation?: Activation;
  /** Positions of earlier segments that each layer remembers. Default: none. */
  readonly memoryLength?: number;
  /** How many positions of a segment are remembered, the first ones: `reuse_len` of the authors' code. Default: all. */
  readonly reuseLength?: number;
  /** Distances beyond it, on either side, count as this one: `clamp_len`. Default: all are told apart. */
  readonly maxDistance?: number;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
  /** Standard deviation of initial weights. Default: 0.02. */
  readonly initializerRange?: number;
  /** From states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

export type XlnetBodyParams = TokenFrontParams & {
  /** w: what the query stream starts from at every place, [C]. */
  queryStart: Tensor;
  scores: TransformerXlParams;
  /** Of each layer. */
  segments: readonly RelativeSegmentsParams[];
  blocks: readonly BlockParams<AttentionParams, MlpParams>[];
};

export type XlnetParams = WithHead<XlnetBodyParams>;

/**
 * XLNet: an encoder that predicts tokens one after another in any order, each from those before it in that order, on both sides of it.
 *
 * Two streams share all weights. The content stream h knows its own token; the query stream g knows its place alone, and predicts the token:
 * `h_t ← block(h_t, keys = [SG(m), h_s] of all s that t is predicted from, and t itself)`
 * `g_t ← block(g_t, keys = [SG(m), h_s] of all s that t is predicted from)`, `g_t = w` and `h_t = e(x_t)` before the first layer, with
 * `logits = ((q_t + u)·k_s + (q_t + v)·W_R R_{t−s} + (q_t + b)·e_{same segment?})/√D`; biases are those of each layer.
 *
 * `apply` runs the content stream alone, in which all tokens see all others: a text is read with it. `predict` runs both.
 *
 * @cost   O(n·(n + m)·d) time for the content stream, and P/n of that more for P predicted tokens
 * @source Yang et al. 2019, "XLNet: Generalized Autoregressive Pretraining for Language Understanding", §2, arXiv:1906.08237
 * @differs no dropout of the sinusoids. A token that is predicted from nothing gets 0 from attention; in the authors' code it sees the mean of
 *   all values, its own among them
 */
export function xlnet(options: XlnetOptions): TwoStreamModel<XlnetParams> {
  const { body, run } = streams(options);
  const head = options.output ?? (tiedHeadWithBias(options.vocabularySize) as Head);
  return {
    ...withLogits(body, head),
    predict: (params, input, context) => {
      const out = run(params, input, context);
      const toLogits = (x: Tensor): Tensor => head.apply(params.head, x, params.tokens);
      const queries = out.queries!;
      return { ...out, logits: toLogits(out.x), toLogits, queries, predicted: toLogits(queries) };
    },
  };
}

type StreamsInput = TokensInput & Partial<Prediction>;

type Streams = {
  readonly body: TokenBody<XlnetBodyParams>;
  /** Both streams, or the content stream alone where nothing is predicted. */
  run(params: XlnetBodyParams, input: StreamsInput, context: Context): DepthOutput & { readonly queries?: Tensor };
};

function streams(options: XlnetOptions): Streams {
  const { vocabularySize, layers, modelWidth, heads, memoryLength, reuseLength, maxDistance } = options;
  const { ffnWidth = 4 * modelWidth, activation = gelu, dropoutRate = 0, epsilon = 1e-12 } = options;
  requireSizes("xlnet", options, { vocabularySize, layers, ffnWidth });
  requireEvenWidth("xlnet", modelWidth);
  requireCounts("xlnet", present({ memoryLength, reuseLength }));
  if (reuseLength !== undefined && memoryLength === undefined)
    throw new RangeError("xlnet: reuseLength says what of a segment is remembered; it needs a memoryLength");
  const headWidth = headWidthOf("xlnet", options);
  const initial = normalInitial(options.initializerRange);
  const mixer = attention({ modelWidth, heads, headWidth, bias: false, dropoutRate, initial });
  const block = postNormBlock({
    modelWidth,
    norm: layerNorm({ epsilon }),
    mixer,
    ffn: mlp({ modelWidth, ffnWidth, activation, dropoutRate, initial }),
  });
  const segment = memoryLength === undefined ? undefined : emptyMemory({ length: memoryLength, modelWidth });
  const blocks = Array.from({ length: layers }, () => ({ ...block, ...present({ segment }) }));
  const tokens = embedding(vocabularySize, modelWidth, initial);
  const front = tokenFront({ tokens, dropoutRate });
  const distances = { layers, modelWidth, heads, headWidth, untied: true, bidirectional: true, initial };
  const scores = transformerXlScores({ ...distances, ...present({ maxDistance }) });

  const run: Streams["run"] = (params, input, context) => {
    requireContent("xlnet", input, modelWidth);
    if (input.globals !== undefined) requireGlobalReader("xlnet", blocks);
    if (input.positions !== undefined)
      throw new TypeError("xlnet: tells positions by their distance in the row; leave positions out");
    if (input.segment !== undefined && memoryLength === undefined)
      throw new TypeError("xlnet: was made without a memoryLength, and takes no memories");
    const [rows, length] = extentOf(input);
    const { mask, sees, places } = input;
    const memories = input.segment && (resetRows(blocks, input.segment) as readonly SegmentState[]);
    const memory = memories === undefined ? 0 : memoryLength!;
    const sights = sees && sightsOf(sees, places, memory);
    const segments = input.types && concat([zeros([rows, memory], "int32"), input.types], 1);

    const viewOf = (layer: number, keyMask: Tensor | undefined, visible?: Tensor, places?: Tensor): View => {
      const extents = { queries: places?.shape[1] ?? length, keys: memory + length };
      const byDistance = scores.forLayer!(params.scores, layer, extents);
      const bySegment = segments && relativeSegments(params.segments[layer]!, segments, memory);
      return (options.makeView ?? makeView)({
        pattern: fullPattern,
        ...extents,
        ...present({ keyMask, visible }),
        ...(places === undefined ? { memory } : { positions: { query: places, key: keysOf(rows, memory, length) } }),
        scores: (where) => both(scores.prepare(byDistance, where), bySegment?.(where)),
      });
    };

    const content = [front.apply(params, { ...input, types: undefined, at: iota(length) }, context)];
    const asked = [rows, places?.shape[1] ?? length, modelWidth];
    let queries = sees && dropout(broadcastTo(params.queryStart, asked), dropoutRate, context, "query");
    const maps: (() => AttentionMap)[] = [];
    const kept: SegmentState[] = [];
    blocks.forEach((block, layer) => {
      const [own, x, memory] = [params.blocks[layer]!, content[layer]!, memories?.[layer]];
      const read = { vectors: x, seen: seenOf(mask, x) };
      const keyMask = memory === undefined ? mask : concat([memory.seen, read.seen], 1);
      const source = memory === undefined ? x : concat([cast(memory.vectors, x.dtype), x], 1);
      const cross = mixer.keysAndValues(own.mixer, source, {});
      const out = block.apply(own, { x, cross, view: viewOf(layer, keyMask, sights?.content) }, within(context, layer));
      content.push(out.y);
      maps.push(out.map!);
      if (queries !== undefined) {
        const view = viewOf(layer, keyMask, sights!.query, places);
        queries = block.apply(own, { x: queries, cross, view }, within(context, `query ${layer}`)).y;
      }
      if (memory !== undefined) kept.push(remembered(memory, firstOf(read, reuseLength)));
    });
    const x = dropout(content.at(-1)!, dropoutRate, context, "final");
    return {
      x,
      hidden: [...content.slice(0, -1), x],
      maps,
      losses: {},
      state: memories === undefined ? {} : { segment: kept },
      ...(queries !== undefined && { queries: dropout(queries, dropoutRate, context, "final query") }),
    };
  };

  const body: TokenBody<XlnetBodyParams> = {
    vocabularySize,
    width: modelWidth,
    embeddingWidth: modelWidth,
    causal: false,
    layers: blocks,
    patterns: blocks.map(() => fullPattern),
    embeddingOf: ({ tokens }) => tokens,
    init: (key) => {
      const [a, b, c, d, e] = splitKey(key, 5);
      return {
        ...front.init(a!),
        queryStart: initial(b!, [modelWidth]),
        scores: scores.init(c!),
        segments: splitKey(d!, layers).map((own) => initRelativeSegments(own, { heads, headWidth, initial })),
        blocks: splitKey(e!, layers).map((own) => block.init(own)),
      } as Concrete<XlnetBodyParams>;
    },
    apply: run,
  };
  return { body, run };
}

/** What each stream sees, bool [B, 1, ·, M + T]: memories always, itself in the content stream alone. */
function sightsOf(sees: Tensor, places: Tensor | undefined, memory: number): Record<"content" | "query", Tensor> {
  const [rows, length] = sees.shape as [number, number];
  const self = equal(expandDims(iota(length), 1), iota(length));
  const behind = (own: Tensor): Tensor => expandDims(concat([ones([rows, own.shape[1]!, memory], "bool"), own], 2), 1);
  const asked =
    places === undefined ? sees : takeAlongAxis(sees, broadcastTo(expandDims(places, 2), [...places.shape, length]), 1);
  return { content: behind(or(sees, self)), query: behind(asked) };
}

/** Positions of keys behind a memory, whose own are negative, int32 [B, M + T]. */
function keysOf(rows: number, memory: number, length: number): Tensor {
  return broadcastTo(sub(iota(memory + length), memory), [rows, memory + length]);
}

function both(a: Score, b: Score | undefined): Score {
  return b === undefined ? a : { logits: (logits, of) => b.logits(a.logits(logits, of), of) };
}

function firstOf({ vectors, seen }: SegmentState, count = seen.shape[1]!): SegmentState {
  const to = Math.min(count, seen.shape[1]!);
  return { vectors: slice(vectors, 1, 0, to), seen: slice(seen, 1, 0, to) };
}

export type XlnetSettings = StackSettings & { readonly ffnWidth?: number; readonly initializerRange?: number };

export const xlnetEntry: EncoderEntry<"xlnet", XlnetSettings> = /* @__PURE__ */ modelEntry({
  name: "xlnet",
  title: "XLNet",
  year: 2019,
  paper: "Yang et al. 2019, XLNet: Generalized Autoregressive Pretraining for Language Understanding, arXiv:1906.08237",
  summary:
    "an encoder that predicts hidden tokens one after another in a random order, so that they may depend on each other",
  formula: "loss = −Σ_i log p(x_{z_i} | x_{z_<i}); h sees its own token, g its place alone; both with the same weights",
  cost: fullCost,
  category: "encoder",
  options: () =>
    z.strictObject({ ...stackOptions(), ffnWidth: ffnWidthOption(), initializerRange: initializerRangeOption() }),
  make: (settings) => xlnet(present(settings)),
});
