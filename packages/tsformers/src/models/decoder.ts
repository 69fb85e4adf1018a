import { add, type Concrete, cast, full, iota, splitKey, type Tensor } from "@tsformers/engine";
import type { PositionEmbedding, QkTransform, ScoreMod } from "../attention/kinds.ts";
import { causal, type Pattern } from "../attention/pattern.ts";
import { look } from "../attention/view.ts";
import type { Block } from "../nn/block.ts";
import { dropout } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import { type Head, tiedHead } from "../nn/head.ts";
import type { Layer } from "../nn/layer.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import { runStack } from "../nn/stack.ts";
import type { LanguageModel } from "./language-model.ts";

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
  /** What a pass may see; {@link look} unless given. */
  readonly look?: typeof look;
  readonly pattern?: Pattern;
  readonly scores?: ScoreMod;
  readonly rotation?: QkTransform;
};

export type DecoderParams = {
  tokens: EmbeddingParams;
  positions?: unknown;
  embeddingNorm?: NormParams;
  blocks: readonly unknown[];
  finalNorm?: NormParams;
  head?: unknown;
  scores?: unknown;
};

/** A decoder-only language model: embed, a stack of blocks that look back, logits. */
export function decoder(parts: DecoderParts): LanguageModel<DecoderParams> {
  const { blocks, dropoutRate = 0, pattern = causal, scores, rotation, head = tiedHead() } = parts;
  return {
    vocabularySize: parts.vocabularySize,
    init: (key) => {
      const [tokens, positions, norm, final, headKey, score, ...rest] = splitKey(key, 6 + blocks.length);
      const params = {
        tokens: parts.tokens.init(tokens!),
        positions: parts.positions?.init(positions!),
        embeddingNorm: parts.embeddingNorm?.init(norm!),
        scores: scores?.init(score!),
        blocks: blocks.map((block, i) => block.init(rest[i]!)),
        finalNorm: parts.finalNorm?.init(final!),
        head: head.init(headKey!),
      };
      return present(params) as Concrete<DecoderParams>;
    },
    apply: (params, { tokens, types, mask, positions, cache }, context) => {
      const queries = tokens.shape[1]!;
      const keys = cache?.layers[0]?.key.shape[2] ?? queries;
      const counted = positions ?? (mask === undefined ? undefined : parts.positionsOf?.(mask));
      const at = counted ?? (cache === undefined ? iota(queries) : add(iota(queries), cache.length));
      const view = (parts.look ?? look)({
        pattern,
        queries,
        keys,
        ...present({ keyMask: mask, rotation, offset: cache?.length }),
        ...(counted === undefined ? {} : { positions: { query: counted, key: counted } }),
        ...(scores === undefined ? {} : { scores: (where) => scores.prepare(params.scores, where) }),
      });
      const symbols = parts.tokens.apply(params.tokens, tokens);
      const vectors = types === undefined ? symbols : add(symbols, parts.tokens.apply(params.tokens, types));
      const placed =
        parts.positions === undefined
          ? vectors
          : add(vectors, cast(parts.positions.apply(params.positions, at), vectors.dtype));
      const normed =
        parts.embeddingNorm === undefined ? placed : parts.embeddingNorm.apply(params.embeddingNorm!, placed);
      const x = dropout(normed, dropoutRate, context, "embedding");
      const { finalNorm } = parts;
      const out = runStack(blocks, params, { x, view, ...present({ cache, finalNorm }) }, context);
      const { hidden, probabilities } = out;
      const logits = head.apply(params.head, out.x, params.tokens);
      return { logits, hidden, probabilities, ...present({ cache: out.cache }) };
    },
    emptyCache: (batch, capacity) =>
      blocks.map(({ cacheShape: [heads, width] }) => {
        const shape = [batch, heads, capacity, width];
        return { key: full(shape, 0), value: full(shape, 0) };
      }),
  };
}
