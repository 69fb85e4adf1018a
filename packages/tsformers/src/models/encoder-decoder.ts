import { add, type Concrete, cast, iota, splitKey, type Tensor } from "@tsformers/engine";
import { makeView } from "../attention/core/view.ts";
import { fullPattern } from "../attention/patterns/pattern.ts";
import type { CrossBlock } from "../blocks/cross-block.ts";
import type { FinalNorm, StackParams } from "../depth/layers.ts";
import { blockStack } from "../depth/stack.ts";
import { placeOfLayer, startTraining } from "../depth/states.ts";
import type {
  AttentionMap,
  Block,
  Context,
  Depth,
  DepthInput,
  DepthOutput,
  KeyValueCache,
  Layer,
  LayerPositions,
  PositionEmbedding,
  ScoreMod,
  StackState,
  View,
} from "../kinds/index.ts";
import { dropout, within } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import { type Head, tiedHead } from "../nn/head.ts";
import { sumOfLosses } from "../nn/losses.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../schema/present.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";
import { requireCausal, requireGlobalReader } from "./sights.ts";
import { type Pass, patternOfLayer, placesOf, type SightParts, viewsOf } from "./views.ts";

/** The two stacks of an encoder-decoder, over vectors. */
export type StacksParts = {
  readonly encoder: readonly Block[];
  readonly decoder: readonly CrossBlock[];
  readonly encoderNorm?: Layer<NormParams>;
  readonly decoderNorm?: Layer<NormParams>;
  /** How the blocks of each stack follow one another; layers may share blocks, as in `shared`. Default: {@link blockStack}. */
  readonly depth?: (blocks: readonly Block[], options: FinalNorm) => Depth<StackParams>;
  /** The same of the decoder alone. Default: `depth`. */
  readonly decoderDepth?: DecoderDepth;
};

/**
 * How the layers of a decoder follow one another.
 *
 * @param options.toLogits logits from states that have passed the final norm, for depths that ask what a layer would predict
 */
export type DecoderDepth = (
  blocks: readonly Block[],
  options: FinalNorm & { readonly toLogits: (x: Tensor) => Tensor },
) => Depth<StackParams>;

export type StacksParams = { encoder: StackParams; decoder: StackParams };

export type Stacks = {
  init(key: Parameters<Layer<StacksParams>["init"]>[0]): Concrete<StacksParams>;
  /** x [B, S, C] → [B, S, C] */
  encode(params: StacksParams, input: DepthInput, context: Context): DepthOutput;
  /** What each layer of the decoder looks at in the encoded source. */
  crossKeysAndValues(params: StacksParams, source: Tensor, view: Pick<View, "rotate">): KeyValueCache[];
  /** x [B, T, C] → [B, T, C] */
  decode(
    params: StacksParams,
    input: DepthInput & {
      readonly source: { readonly entries: readonly KeyValueCache[]; readonly view: View };
      /** As in a {@link DecoderDepth}. Default: an error when it is asked. */
      readonly toLogits?: (x: Tensor) => Tensor;
    },
    context: Context,
  ): DepthOutput & { readonly crossMaps: readonly (() => AttentionMap)[] };
};

/** An encoder and a decoder that looks at what it gives out. */
export function stacks(parts: StacksParts): Stacks {
  const { depth = blockStack, decoderDepth = depth } = parts;
  const encoder = depth(parts.encoder, present({ finalNorm: parts.encoderNorm }));
  // Blocks that look at nothing but what came before, once each is bound to its part of the source.
  const decoder = (bind: (block: CrossBlock, layer: number) => Block["apply"], toLogits: (x: Tensor) => Tensor) =>
    decoderDepth(
      parts.decoder.map((block, i): Block => ({ ...block, apply: bind(block, i) })),
      { toLogits, ...present({ finalNorm: parts.decoderNorm }) },
    );
  const unbound = () => {
    throw new TypeError("stacks: a decoder needs a source");
  };
  const headless = () => {
    throw new TypeError("stacks: vectors have no logits");
  };
  return {
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return { encoder: encoder.init(a!), decoder: decoder(() => unbound, headless).init(b!) };
    },
    encode: (params, input, context) => encoder.apply(params.encoder, input, within(context, "encoder")),
    crossKeysAndValues: (params, source, view) =>
      params.decoder.blocks.map((own, i) => parts.decoder[i]!.crossKeysAndValues(own, source, view)),
    decode: (params, { source, toLogits = headless, ...input }, context) => {
      const crossMaps: (() => AttentionMap)[] = [];
      const count = parts.decoder.length;
      const bindTo =
        (block: CrossBlock, i: number): Block["apply"] =>
        (own, input, inner) => {
          // Layers that share a block share its keys and values, too.
          const entries = source.entries[Math.floor((i * source.entries.length) / count)]!;
          const { crossMap, ...out } = block.apply(own, { ...input, source: { entries, view: source.view } }, inner);
          if (crossMap !== undefined) crossMaps.push(crossMap);
          return out;
        };
      const bound = decoder(bindTo, toLogits);
      return { ...bound.apply(params.decoder, input, within(context, "decoder")), crossMaps };
    },
  };
}

/** The parts of an encoder-decoder over tokens, each a value of its kind; what is absent is not there. */
export type EncoderDecoderParts = StacksParts & {
  /** As errors call it. Default: encoder-decoder. */
  readonly name?: string;
  readonly vocabularySize: number;
  /** Shared by source and target. */
  readonly tokens: Layer<EmbeddingParams>;
  readonly sourcePositions?: PositionEmbedding;
  readonly targetPositions?: PositionEmbedding;
  /** Added to the input of every layer on either side. */
  readonly layerPositions?: LayerPositions;
  readonly sourceScores?: ScoreMod;
  readonly targetScores?: ScoreMod;
  /** Of the encoder. Default: everything. */
  readonly sourcePattern?: SightParts["pattern"];
  /** Of the decoder, cut to what came before. Default: everything before. */
  readonly targetPattern?: SightParts["pattern"];
  /** Applied to embedded tokens of either side. */
  readonly sourceNorm?: Layer<NormParams>;
  readonly targetNorm?: Layer<NormParams>;
  readonly dropoutRate?: number;
  /** Logits from hidden states. Default: the token embedding itself (tied). */
  readonly head?: Head;
  /** Makes the views. Default: `makeView`. */
  readonly makeView?: NonNullable<SightParts["makeView"]>;
};

export type EncoderDecoderParams = StacksParams & {
  tokens: EmbeddingParams;
  sourcePositions?: unknown;
  targetPositions?: unknown;
  layerPositions?: unknown;
  sourceScores?: unknown;
  targetScores?: unknown;
  sourceNorm?: NormParams;
  targetNorm?: NormParams;
  head: unknown;
  /** What mixers of either stack keep from one training step to the next, by layer. */
  trainingState?: { encoder?: NonNullable<StackState["training"]>; decoder?: NonNullable<StackState["training"]> };
};

/**
 * An encoder-decoder: read the source, then predict each next token of the target from it and from those before.
 *
 * @throws TypeError for a mixer of the decoder that is not causal
 */
export function encoderDecoder(parts: EncoderDecoderParts): SequenceToSequence<EncoderDecoderParams> {
  const { name = "encoder-decoder" } = parts;
  requireCausal(`${name}: decoder`, parts.decoder);
  const { dropoutRate = 0, head = tiedHead(), sourceScores, targetScores } = parts;
  const body = stacks(parts);
  const sights = { ...present({ makeView: parts.makeView }) };
  const source: SightParts = {
    ...sights,
    causal: false,
    ...present({ scores: sourceScores, pattern: parts.sourcePattern }),
  };
  const target: SightParts = {
    ...sights,
    causal: true,
    ...present({ scores: targetScores, pattern: parts.targetPattern }),
  };
  const embed = (
    params: EncoderDecoderParams,
    tokens: Tensor,
    at: Tensor,
    side: "source" | "target",
    context: Context,
  ): Tensor => {
    const vectors = parts.tokens.apply(params.tokens, tokens);
    const scheme = parts[`${side}Positions`];
    const placed =
      scheme === undefined ? vectors : add(vectors, cast(scheme.apply(params[`${side}Positions`], at), vectors.dtype));
    const norm = parts[`${side}Norm`];
    const normed = norm === undefined ? placed : norm.apply(params[`${side}Norm`]!, placed);
    return dropout(normed, dropoutRate, context, side);
  };
  const { layerPositions } = parts;
  const signals = (params: EncoderDecoderParams, at: Tensor) =>
    present({ input: layerPositions && ((layer: number) => layerPositions.apply(params.layerPositions, layer, at)) });
  return {
    vocabularySize: parts.vocabularySize,
    ...present({ maxLength: parts.targetPositions?.length, maxSourceLength: parts.sourcePositions?.length }),
    layers: parts.decoder,
    patterns: parts.decoder.map((_, layer) => patternOfLayer(target, layer)),
    init: (key) => {
      const [a, b, c, d, e, f, g, h, i, j] = splitKey(key, 10);
      const training = present({
        encoder: startTraining(parts.encoder, j!),
        decoder: startTraining(parts.decoder, splitKey(j!, 1)[0]!),
      });
      const own = {
        tokens: parts.tokens.init(b!),
        sourcePositions: parts.sourcePositions?.init(c!),
        targetPositions: parts.targetPositions?.init(d!),
        layerPositions: parts.layerPositions?.init(splitKey(j!, 2)[1]!),
        sourceScores: sourceScores?.init(e!),
        targetScores: targetScores?.init(f!),
        head: head.init(g!),
        sourceNorm: parts.sourceNorm?.init(h!),
        targetNorm: parts.targetNorm?.init(i!),
        trainingState: Object.keys(training).length === 0 ? undefined : training,
      };
      return { ...body.init(a!), ...present(own) } as Concrete<EncoderDecoderParams>;
    },
    encode: (params, { tokens, mask, globals }, context) => {
      if (globals !== undefined) requireGlobalReader(`${name}: encoder`, parts.encoder);
      const pass: Pass = { queries: tokens.shape[1]!, mask, globals, remembers: false };
      const input = {
        x: embed(params, tokens, iota(pass.queries), "source", context),
        view: viewsOf(source, parts.encoder, params.sourceScores, pass),
        state: present({ training: params.trainingState?.encoder }),
        ...signals(params, iota(pass.queries)),
      };
      const { x, hidden, maps, losses, state, steps } = body.encode(params, input, context);
      const penalty = sourceScores?.penalty?.(params.sourceScores);
      return {
        memory: x,
        hidden,
        maps,
        losses: sumOfLosses([losses, penalty]),
        state,
        entries: body.crossKeysAndValues(params, x, {}),
        ...present({ mask, steps }),
      };
    },
    decode: (params, { tokens, mask, encoded, decode }, context) => {
      const queries = tokens.shape[1]!;
      const pass: Pass = { queries, mask, decode, remembers: false };
      const sourceLength = encoded.entries[0]!.key.shape[2]!;
      const across = (parts.makeView ?? makeView)({
        pattern: fullPattern,
        queries,
        keys: sourceLength,
        ...present({ keyMask: encoded.mask }),
      });
      const input = {
        x: embed(params, tokens, placesOf(pass), "target", context),
        view: viewsOf(target, parts.decoder, params.targetScores, pass),
        state: present({ decode: decode?.layers, training: params.trainingState?.decoder }),
        ...present({ place: decode && placeOfLayer(decode) }),
        source: { entries: encoded.entries, view: across },
        ...signals(params, placesOf(pass)),
        toLogits: (x: Tensor) => head.apply(params.head, x, params.tokens),
      };
      const { x, losses, ...out } = body.decode(params, input, context);
      const penalty = targetScores?.penalty?.(params.targetScores);
      return { ...out, logits: input.toLogits(x), losses: sumOfLosses([losses, penalty]) };
    },
    ...(!(sourceScores?.project === undefined && targetScores?.project === undefined) && {
      project: (params: EncoderDecoderParams) => ({
        ...params,
        ...(sourceScores?.project && { sourceScores: sourceScores.project(params.sourceScores) }),
        ...(targetScores?.project && { targetScores: targetScores.project(params.targetScores) }),
      }),
    }),
  };
}
