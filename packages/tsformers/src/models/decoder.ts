import { add, type Concrete, cast, foldIn, iota, type RandomKey, splitKey, type Tensor } from "@tsformers/engine";
import { makeView, makeViewOfSlots } from "../attention/core/view.ts";
import { causalPart } from "../attention/patterns/causal-part.ts";
import type { LayerPatterns } from "../attention/patterns/index.ts";
import { causal, type Pattern } from "../attention/patterns/pattern.ts";
import { type Block, emptyCacheOf } from "../blocks/block.ts";
import { type CarriedLayers, runStack } from "../depth/stack.ts";
import type {
  LayerPositions,
  PositionEmbedding,
  Positions,
  QkTransform,
  ScoreMod,
  Slots,
  View,
} from "../kinds/index.ts";
import type { Layer } from "../kinds/layer.ts";
import { dropout, within } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import { type Head, tiedHead } from "../nn/head.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import type { LanguageModel } from "./language-model.ts";
import { requireCausal, requireReader } from "./sights.ts";

/** The parts of a decoder-only language model, each a value of its kind; what is absent is not there. */
export type DecoderParts = {
  readonly vocabularySize: number;
  readonly tokens: Layer<EmbeddingParams>;
  readonly positions?: PositionEmbedding;
  /** Applied to the sum of token and position vectors. */
  readonly embeddingNorm?: Layer<NormParams>;
  readonly dropoutRate?: number;
  readonly blocks: readonly Block[];
  readonly finalNorm?: Layer<NormParams>;
  /** Logits from hidden states; the token embedding itself (tied) unless given. */
  readonly head?: Head;
  /** Positions of tokens behind padding, from the mask [B, T]; 0, 1, 2, … from the first column unless given. */
  readonly positionsOf?: (mask: Tensor) => Tensor;
  /** How the blocks follow one another; {@link runStack} unless given. */
  readonly run?: typeof runStack;
  /** What a pass may see; {@link makeView} unless given. */
  readonly look?: typeof makeView;
  /**
   * What all layers see, or each, and never what lies ahead: of a pattern that shows it the {@link causalPart} is taken. Default: all that came
   * before. Layers whose mixer chooses for itself do not read it.
   */
  readonly pattern?: Pattern | LayerPatterns;
  readonly scores?: ScoreMod;
  readonly rotation?: QkTransform;
  /** Added to the input of every layer. */
  readonly layerPositions?: LayerPositions;
};

export type DecoderParams = {
  tokens: EmbeddingParams;
  positions?: unknown;
  embeddingNorm?: NormParams;
  blocks: readonly unknown[];
  finalNorm?: NormParams;
  head?: unknown;
  scores?: unknown;
  layerPositions?: unknown;
  /** What mixers carry from one training step to the next. */
  carried?: CarriedLayers;
};

function patternOf({ pattern = causal }: DecoderParts, layer: number): Pattern {
  return typeof pattern === "function" ? pattern(layer) : pattern;
}

/** One view for each pattern, or slots, among those of the layers, or, where scores differ by layer, one for each. */
function viewOfLayers(
  { scores }: DecoderParts,
  seenBy: (layer: number) => Pattern | Slots,
  see: (seen: Pattern | Slots, layer: number) => View,
): (layer: number) => View {
  if (scores?.forLayer !== undefined) return (layer) => see(seenBy(layer), layer);
  const known = new Map<Pattern | Slots, View>();
  return (layer) => {
    const own = seenBy(layer);
    const view = known.get(own) ?? see(own, layer);
    known.set(own, view);
    return view;
  };
}

function pastOf(blocks: readonly Block[]): LanguageModel<DecoderParams>["startPast"] {
  if (blocks.every(({ cacheShape }) => cacheShape !== undefined)) return undefined;
  const starts = blocks.flatMap(({ startPast }) => startPast ?? []);
  if (starts.length < blocks.length) return undefined;
  return ({ carried }, batch, capacity, slots) =>
    starts.map((start, i) => {
      const room = blocks[i]!.cacheShape === undefined ? capacity : (slots?.[i] ?? capacity);
      return start(batch, room, carried?.[i]);
    });
}

function startOf(blocks: readonly Block[], key: RandomKey): Concrete<CarriedLayers> | undefined {
  const starts = blocks.flatMap(({ carries }, i) => (carries === undefined ? [] : [[i, carries(foldIn(key, i))]]));
  return starts.length === 0 ? undefined : (Object.fromEntries(starts) as Concrete<CarriedLayers>);
}

function shortestTable(...schemes: readonly ({ readonly length?: number } | undefined)[]): number | undefined {
  const lengths = schemes.flatMap((scheme) => scheme?.length ?? []);
  return lengths.length === 0 ? undefined : Math.min(...lengths);
}

/**
 * A decoder-only language model: embed, a stack of blocks that look back, logits.
 *
 * Causal whatever it is made of: patterns are cut to what came before, and mixers that choose for themselves must say that they look back only.
 *
 * @throws TypeError for a mixer that is not causal, and for a pattern that no layer would read
 */
export function decoder(parts: DecoderParts): LanguageModel<DecoderParams> {
  requireCausal("decoder", parts.blocks);
  if (parts.pattern !== undefined) requireReader("decoder", parts.blocks);
  const { blocks, dropoutRate = 0, scores, rotation, layerPositions, head = tiedHead() } = parts;
  return {
    vocabularySize: parts.vocabularySize,
    ...present({ maxLength: shortestTable(parts.positions, layerPositions) }),
    init: (key) => {
      const [tokens, positions, norm, final, headKey, score, ...rest] = splitKey(key, 6 + blocks.length);
      const [layered] = splitKey(positions!, 1);
      const params = {
        tokens: parts.tokens.init(tokens!),
        positions: parts.positions?.init(positions!),
        embeddingNorm: parts.embeddingNorm?.init(norm!),
        scores: scores?.init(score!),
        layerPositions: layerPositions?.init(layered!),
        blocks: blocks.map((block, i) => block.init(rest[i]!)),
        finalNorm: parts.finalNorm?.init(final!),
        head: head.init(headKey!),
        carried: startOf(blocks, splitKey(headKey!, 1)[0]!),
      };
      return present(params) as Concrete<DecoderParams>;
    },
    apply: (params, { tokens, types, mask, positions, cache, past }, context) => {
      const queries = tokens.shape[1]!;
      const keys = cache?.layers[0]?.key.shape[2] ?? past?.capacity ?? queries;
      const offset = cache?.length ?? past?.position;
      const slotsOf = (layer: number): Slots | undefined =>
        cache?.slots?.[layer] ?? (blocks[layer]!.cacheShape === undefined ? undefined : past?.slots?.[layer]);
      const counted = positions ?? (mask === undefined ? undefined : parts.positionsOf?.(mask));
      const at = counted ?? (offset === undefined ? iota(queries) : add(iota(queries), offset));
      const scoresOf = (layer: number) => {
        if (scores === undefined) return {};
        const slots = slotsOf(layer);
        const pass = { queries, keys: slots === undefined ? keys : slots.reach + 1 };
        const own = scores.forLayer?.(params.scores, layer, pass) ?? params.scores;
        return { scores: (where: Positions) => scores.prepare(own, where) };
      };
      const seenBy = (layer: number) => slotsOf(layer) ?? causalPart(patternOf(parts, layer), keys);
      const view = viewOfLayers(parts, seenBy, (seen, layer) => {
        const schemes = { ...present({ rotation }), ...scoresOf(layer) };
        if ("positions" in seen) return makeViewOfSlots(seen, schemes);
        return (parts.look ?? makeView)({
          pattern: seen,
          queries,
          keys,
          ...present({ keyMask: mask, offset }),
          ...(counted === undefined ? {} : { positions: { query: counted, key: counted } }),
          ...schemes,
        });
      });
      const symbols = parts.tokens.apply(params.tokens, tokens);
      const vectors = types === undefined ? symbols : add(symbols, parts.tokens.apply(params.tokens, types));
      const placed =
        parts.positions === undefined
          ? vectors
          : add(
              vectors,
              cast(parts.positions.apply(params.positions, at, within(context, "positions")), vectors.dtype),
            );
      const normed =
        parts.embeddingNorm === undefined ? placed : parts.embeddingNorm.apply(params.embeddingNorm!, placed);
      const x = dropout(normed, dropoutRate, context, "embedding");
      const { finalNorm } = parts;
      const { carried } = params;
      const input = layerPositions && ((layer: number) => layerPositions.apply(params.layerPositions, layer, at));
      const out = (parts.run ?? runStack)(
        blocks,
        params,
        { x, view, ...present({ cache, finalNorm, input, carried, past }) },
        context,
      );
      const { hidden, maps } = out;
      const toLogits = (x: Tensor): Tensor => head.apply(params.head, x, params.tokens);
      const penalty = scores?.penalty?.(params.scores);
      const loss = penalty === undefined || out.loss === undefined ? (penalty ?? out.loss) : add(penalty, out.loss);
      const rest = present({ cache: out.cache, loss, carried: out.carried, past: out.past });
      return { logits: toLogits(out.x), toLogits, hidden, maps, ...rest };
    },
    patterns: blocks.map((_, layer) => patternOf(parts, layer)),
    emptyCache: (batch, capacity) => blocks.map((block) => emptyCacheOf(block, batch, capacity)),
    ...present({ startPast: pastOf(blocks) }),
    ...(scores?.project === undefined
      ? {}
      : { project: (params: DecoderParams) => ({ ...params, scores: scores.project!(params.scores) }) }),
  };
}
