import { add, type Concrete, cast, splitKey, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import { span } from "../../attention/patterns/span.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { postNormBlock } from "../../blocks/block.ts";
import { blockStack } from "../../depth/stack.ts";
import type { Block, Pattern, ScoreMod } from "../../kinds/index.ts";
import { segmentMemory } from "../../memory/segment-memory.ts";
import { embedding } from "../../nn/embedding.ts";
import { mlp, relu } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { fanInUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { headWidthOf, requireSizes } from "../../nn/sizes.ts";
import { type AdaptiveSpanParams, adaptiveSpan } from "../../position/adaptive-span.ts";
import { dynamicSpan } from "../../position/dynamic-span.ts";
import { perLayer } from "../../position/per-layer.ts";
import { productsByDistance } from "../../position/shaw.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import type { LanguageModel } from "../language-model.ts";
import { type DecoderEntry, ffnWidthOption, modelEntry, type StackSettings, stackOptions } from "../model-entry.ts";

export type SpanKind = "of heads" | "of queries" | "fixed";

export type AdaptiveSpanTransformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** S: the farthest that a head may look back, and how much each layer remembers. */
  readonly maxSpan: number;
  /** What learns a span: each head, or as a dynamic span each query; fixed: all see S positions. Default: heads. */
  readonly spans?: SpanKind;
  /** R: positions over which weights fade out. Default: 32. */
  readonly ramp?: number;
  /** Share of `maxSpan` that spans begin with. Default: 0 of heads, σ(−4) of queries. */
  readonly startShare?: number;
  /** What a position of mean span costs in the loss of a layer. Default: 2e-6. */
  readonly penalty?: number;
  readonly dropoutRate?: number;
};

/** Keys of the distances S, …, 1, [S, D], and the span of each layer's heads where they are learned. */
export type SpanScoresParams = { keys: Tensor; layers?: readonly AdaptiveSpanParams[] };

/**
 * A character-level language model whose heads learn how far back they look, up to thousands of positions. A position does not look at
 * itself; layers remember their last S inputs.
 *
 * `a_ts ∝ m_z(t − s)·exp(q_t·(k_s + p_{t−s})/√D)` for s = t − S, …, t − 1, with `m_z(x) = clip((R + z − x)/R, 0, 1)`; z is a parameter
 * of the head or, as a dynamic span, `S·σ(v·x_t + b)`. p is shared by all heads and layers.
 *
 * With spans of heads the model is cut to them where its weights are fixed: evaluation, generation and export compute no key that no head of a
 * layer sees.
 *
 * @source Sukhbaatar et al. 2019, "Adaptive Attention Span in Transformers", arXiv:1905.07799
 * @differs weights begin as in the authors' code (the paper does not say); memories begin empty instead of with zeros that are seen
 */
export function adaptiveSpanTransformer(options: AdaptiveSpanTransformerOptions): LanguageModel<DecoderParams> {
  return decoder(adaptiveSpanTransformerParts(options));
}

/** The parts of which {@link adaptiveSpanTransformer} is put together. */
export function adaptiveSpanTransformerParts(options: AdaptiveSpanTransformerOptions): DecoderParts {
  const { vocabularySize, layers, modelWidth, heads, maxSpan, dropoutRate = 0 } = options;
  const { ffnWidth = 4 * modelWidth, spans = "of heads", ramp, penalty, startShare } = options;
  requireSizes("adaptive-span-transformer", options, { vocabularySize, layers, ffnWidth, maxSpan });
  const keyWidth = headWidthOf("adaptive-span-transformer", options);
  requireLearned(spans, present({ ramp, penalty, startShare }));
  const initial = fanInUniform();
  const plain = attention({ modelWidth, heads, bias: false, dropoutRate, initial });
  const how = { heads, maxSpan, ...present({ ramp, penalty }) };
  const startBias = startShare === undefined ? undefined : Math.log(startShare / (1 - startShare));
  const mixer = spans === "of queries" ? dynamicSpan(plain, { ...how, modelWidth, ...present({ startBias }) }) : plain;
  const block = postNormBlock<unknown, unknown>({
    modelWidth,
    norm: layerNorm(),
    mixer: segmentMemory<unknown>(mixer as typeof plain, { length: maxSpan, modelWidth }),
    ffn: mlp({ modelWidth, ffnWidth, activation: relu, dropoutRate, initial }),
  });
  const ofHeads = perLayer(adaptiveSpan({ ...how, ...present({ startShare }) }), layers);
  return {
    name: "adaptive-span-transformer",
    vocabularySize,
    width: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, normalInitial(1)),
    pattern: earlier(maxSpan),
    scores: withDistanceKeys({ maxSpan, keyWidth }, spans === "of heads" ? ofHeads : undefined),
    dropoutRate,
    depth: blockStack(new Array<Block>(layers).fill(block as Block)),
    head: linearHead(modelWidth, vocabularySize, { bias: true, initial }),
  };
}

/** @throws RangeError for fixed spans with options of learned ones, and for spans of queries that begin with nothing to learn from */
function requireLearned(spans: SpanKind, given: { readonly startShare?: number }): void {
  const idle = Object.keys(given);
  if (spans === "fixed" && idle.length > 0)
    throw new RangeError(`adaptive-span-transformer: fixed spans are not learned; leave out ${idle.join(" and ")}`);
  const { startShare } = given;
  if (spans === "of queries" && startShare !== undefined && !(startShare > 0 && startShare < 1))
    throw new RangeError(
      `adaptive-span-transformer: spans of queries begin with a startShare above 0 and below 1, got ${startShare}`,
    );
}

/** A query sees the positions before it, and not itself. */
function earlier(count: number): Pattern {
  return { name: `the ${count} before`, keys: (query, length) => span(query - count, query, length) };
}

type Spans = ReturnType<typeof perLayer<AdaptiveSpanParams, AdaptiveSpanParams>>;
type OwnScores = { readonly keys: Tensor; readonly span?: AdaptiveSpanParams };

/** Keys of distances that all heads and layers share, beside the spans of heads where these are learned. */
function withDistanceKeys(
  { maxSpan, keyWidth }: { readonly maxSpan: number; readonly keyWidth: number },
  spans: Spans | undefined,
): ScoreMod<SpanScoresParams, OwnScores> {
  return {
    init: (key): Concrete<SpanScoresParams> => {
      const [a, b] = splitKey(key, 2);
      return { keys: normalInitial(1)(a!, [maxSpan, keyWidth]), ...present({ layers: spans?.init(b!) }) };
    },
    forLayer: ({ keys, layers }, layer) => ({ keys, ...present({ span: layers?.[layer] }) }),
    prepare: ({ keys, span: own }, positions) => {
      const fading = own && spans?.prepare(own, positions);
      return {
        logits: (logits, of) => {
          const products = productsByDistance(of.query, keys, -maxSpan, { positions, scale: of.scale });
          const told = add(logits, cast(products, logits.dtype));
          return fading?.logits(told, of) ?? told;
        },
      };
    },
    ...(spans !== undefined && {
      penalty: ({ layers }) => spans.penalty!(layers!),
      project: ({ keys, layers }) => ({ keys, layers: spans.project!(layers!) }),
      spans: ({ layers }, layer) => spans.spans!(layers!, layer),
    }),
  };
}

export type AdaptiveSpanTransformerSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly maxSpan?: number;
  readonly spans?: SpanKind;
  readonly ramp?: number;
  readonly startShare?: number;
  readonly penalty?: number;
};

export const adaptiveSpanTransformerEntry: DecoderEntry<"adaptive-span-transformer", AdaptiveSpanTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "adaptive-span-transformer",
    title: "Adaptive attention span",
    year: 2019,
    paper: "Sukhbaatar et al. 2019, Adaptive Attention Span in Transformers, arXiv:1905.07799",
    summary: "a decoder whose heads learn how far back they look; layers remember as much",
    formula: "a_ts ∝ m_z(t − s)·exp(q_t·(k_s + p_{t−s})/√D), m_z(x) = clip((R + z − x)/R, 0, 1)",
    cost: "O(n·z·d) time, z = the longest span of a layer; O((n + maxSpan)·d) memory",
    serves: ["segments", "next", "labelled", "matched", "tagged", "reconstructed", "points", "quantities", "masked"],
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        ffnWidth: ffnWidthOption(),
        maxSpan: positionCount().default(256).describe("the farthest a head may look back; layers remember as much"),
        spans: z
          .enum(["of heads", "of queries", "fixed"])
          .default("of heads")
          .describe("what has a span of its own: heads, or queries (dynamic spans); fixed: all see maxSpan positions"),
        ramp: z
          .number()
          .positive()
          .optional()
          .describe("over how many positions weights fade at the end of a span. Default: 32"),
        startShare: z
          .number()
          .min(0)
          .max(1)
          .optional()
          .describe("the share of maxSpan that spans begin with. Default: 0 of heads, σ(−4) of queries"),
        penalty: z
          .number()
          .nonnegative()
          .optional()
          .describe("what a position of mean span costs in the loss of a layer. Default: 2e-6"),
      }),
    make: (settings) => adaptiveSpanTransformer(present(settings)),
  });
