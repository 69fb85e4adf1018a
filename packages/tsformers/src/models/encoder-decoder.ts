import { add, type Concrete, cast, iota, splitKey, type Tensor } from "@tsformers/engine";
import { makeView } from "../attention/core/view.ts";
import { causal, full } from "../attention/patterns/pattern.ts";
import { type Block, emptyCacheOf } from "../blocks/block.ts";
import type { CrossBlock } from "../blocks/cross-block.ts";
import { runStack, type StackCache, type StackOutput } from "../depth/stack.ts";
import type { AttentionMap, KeyValueCache, PositionEmbedding, ScoreMod, View } from "../kinds/index.ts";
import type { Context, Layer } from "../kinds/layer.ts";
import { dropout, within } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import { type Head, tiedHead } from "../nn/head.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import type { SequenceToSequence } from "./sequence-to-sequence.ts";
import { requireCausal } from "./sights.ts";

/** The two stacks of an encoder-decoder, over vectors. */
export type StacksParts = {
  readonly encoder: readonly Block[];
  readonly decoder: readonly CrossBlock[];
  readonly encoderNorm?: Layer<NormParams>;
  readonly decoderNorm?: Layer<NormParams>;
};

export type StacksParams = {
  encoder: { blocks: readonly unknown[]; finalNorm?: NormParams };
  decoder: { blocks: readonly unknown[]; finalNorm?: NormParams };
};

export type Stacks = {
  init(key: Parameters<Layer<StacksParams>["init"]>[0]): Concrete<StacksParams>;
  /** x [B, S, C] → the memory, [B, S, C] */
  encode(params: StacksParams, x: Tensor, view: View, context: Context): StackOutput;
  /** What each layer of the decoder looks at in the memory. */
  crossKeysAndValues(params: StacksParams, memory: Tensor, view: Pick<View, "rotate">): KeyValueCache[];
  /** x [B, T, C] → [B, T, C] */
  decode(
    params: StacksParams,
    input: { x: Tensor; view: View; memory: { entries: readonly KeyValueCache[]; view: View }; cache?: StackCache },
    context: Context,
  ): StackOutput & { readonly crossMaps: readonly (() => AttentionMap)[] };
};

/** An encoder stack, and a decoder stack whose layers look at the encoder's output. */
export function stacks(parts: StacksParts): Stacks {
  return {
    init: (key) => {
      const [a, b, c, d] = splitKey(key, 4);
      const blocks = (list: readonly Layer<unknown, never, unknown>[], from: typeof key) =>
        splitKey(from, list.length).map((one, i) => list[i]!.init(one));
      return {
        encoder: { blocks: blocks(parts.encoder, a!), ...present({ finalNorm: parts.encoderNorm?.init(b!) }) },
        decoder: { blocks: blocks(parts.decoder, c!), ...present({ finalNorm: parts.decoderNorm?.init(d!) }) },
      } as Concrete<StacksParams>;
    },
    encode: (params, x, view, context) =>
      runStack(
        parts.encoder,
        params.encoder,
        { x, view, ...present({ finalNorm: parts.encoderNorm }) },
        within(context, "encoder"),
      ),
    crossKeysAndValues: (params, memory, view) =>
      parts.decoder.map((block, i) => block.crossKeysAndValues(params.decoder.blocks[i], memory, view)),
    decode: (params, { x, view, memory, cache }, context) => {
      const crossMaps: (() => AttentionMap)[] = [];
      // Blocks that look at nothing but what came before, once each is bound to its part of the memory.
      const bound = parts.decoder.map(
        (block, i): Block => ({
          ...present({ cacheShape: block.cacheShape }),
          mixer: block.mixer,
          init: block.init,
          apply: (own, input, inner) => {
            const out = block.apply(
              own,
              { ...input, memory: { entries: memory.entries[i]!, view: memory.view } },
              inner,
            );
            if (out.crossMap !== undefined) crossMaps.push(out.crossMap);
            return out;
          },
        }),
      );
      const input = { x, view, ...present({ cache, finalNorm: parts.decoderNorm }) };
      const out = runStack(bound, params.decoder, input, within(context, "decoder"));
      return { ...out, crossMaps };
    },
  };
}

/** The parts of an encoder-decoder over tokens, each a value of its kind; what is absent is not there. */
export type EncoderDecoderParts = StacksParts & {
  readonly vocabularySize: number;
  /** Shared by source and target. */
  readonly tokens: Layer<EmbeddingParams>;
  readonly sourcePositions?: PositionEmbedding;
  readonly targetPositions?: PositionEmbedding;
  readonly sourceScores?: ScoreMod;
  readonly targetScores?: ScoreMod;
  readonly dropoutRate?: number;
  /** Logits from hidden states; the token embedding itself (tied) unless given. */
  readonly head?: Head;
  /** What a pass may see; {@link makeView} unless given. */
  readonly look?: typeof makeView;
};

export type EncoderDecoderParams = StacksParams & {
  tokens: EmbeddingParams;
  sourcePositions?: unknown;
  targetPositions?: unknown;
  sourceScores?: unknown;
  targetScores?: unknown;
  head: unknown;
};

/**
 * An encoder-decoder: read the source, then predict each next token of the target from it and from those before.
 *
 * @throws TypeError for a mixer of the decoder that is not causal, and for scores that differ by layer or have a penalty
 */
export function encoderDecoder(parts: EncoderDecoderParts): SequenceToSequence<EncoderDecoderParams> {
  requireCausal("encoder-decoder: decoder", parts.decoder);
  for (const scores of [parts.sourceScores, parts.targetScores]) {
    if (scores?.forLayer === undefined && scores?.penalty === undefined && scores?.project === undefined) continue;
    throw new TypeError(
      "encoder-decoder: takes scores that all layers share, without a penalty; these differ by layer or have one",
    );
  }
  const { dropoutRate = 0, head = tiedHead(), sourceScores, targetScores } = parts;
  const body = stacks(parts);
  const see = parts.look ?? makeView;
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
    return dropout(placed, dropoutRate, context, side);
  };
  return {
    vocabularySize: parts.vocabularySize,
    ...present({ maxLength: parts.targetPositions?.length, maxSourceLength: parts.sourcePositions?.length }),
    init: (key) => {
      const [a, b, c, d, e, f, g] = splitKey(key, 7);
      const own = {
        tokens: parts.tokens.init(b!),
        sourcePositions: parts.sourcePositions?.init(c!),
        targetPositions: parts.targetPositions?.init(d!),
        sourceScores: sourceScores?.init(e!),
        targetScores: targetScores?.init(f!),
        head: head.init(g!),
      };
      return { ...body.init(a!), ...present(own) } as Concrete<EncoderDecoderParams>;
    },
    encode: (params, { tokens, mask }, context) => {
      const length = tokens.shape[1]!;
      const view = see({
        pattern: full,
        queries: length,
        keys: length,
        ...present({ keyMask: mask }),
        ...(sourceScores === undefined ? {} : { scores: (where) => sourceScores.prepare(params.sourceScores, where) }),
      });
      const x = embed(params, tokens, iota(length), "source", context);
      const out = body.encode(params, x, view, context);
      const { hidden, maps } = out;
      return { memory: out.x, hidden, maps, entries: body.crossKeysAndValues(params, out.x, {}), ...present({ mask }) };
    },
    decode: (params, { tokens, mask, encoded, cache }, context) => {
      const queries = tokens.shape[1]!;
      const keys = cache?.layers[0]?.key.shape[2] ?? queries;
      const view = see({
        pattern: causal,
        queries,
        keys,
        ...present({ keyMask: mask, offset: cache?.length }),
        ...(targetScores === undefined ? {} : { scores: (where) => targetScores.prepare(params.targetScores, where) }),
      });
      const sourceLength = encoded.entries[0]!.key.shape[2]!;
      const memoryView = see({ pattern: full, queries, keys: sourceLength, ...present({ keyMask: encoded.mask }) });
      const at = cache === undefined ? iota(queries) : add(iota(queries), cache.length);
      const x = embed(params, tokens, at, "target", context);
      const memory = { entries: encoded.entries, view: memoryView };
      const out = body.decode(params, { x, view, memory, ...present({ cache }) }, context);
      const { hidden, maps, crossMaps } = out;
      const logits = head.apply(params.head, out.x, params.tokens);
      return { logits, hidden, maps, crossMaps, ...present({ cache: out.cache }) };
    },
    emptyCache: (batch, capacity) => parts.decoder.map((block) => emptyCacheOf(block, batch, capacity)),
  };
}
