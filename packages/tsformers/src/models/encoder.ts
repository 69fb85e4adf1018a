import { add, type Concrete, cast, iota, splitKey, type Tensor, zeros } from "@tsformers/engine";
import { makeView } from "../attention/core/view.ts";
import { full } from "../attention/patterns/pattern.ts";
import type { Block } from "../blocks/block.ts";
import { runStack, type StackOutput } from "../depth/stack.ts";
import type { PositionEmbedding, QkTransform } from "../kinds/index.ts";
import type { Context, Layer } from "../kinds/layer.ts";
import { dropout } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import type { LinearParams } from "../nn/linear.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../nn/present.ts";
import type { MaskedLanguageModelInput } from "./masked-language-model.ts";

/** The parts of an encoder over tokens of two or more segments, each a value of its kind. */
export type EncoderParts = {
  readonly tokens: Layer<EmbeddingParams>;
  /** A vector for each segment. */
  readonly types: Layer<EmbeddingParams>;
  readonly positions?: PositionEmbedding;
  /** Applied to the sum of token, segment and position vectors. */
  readonly embeddingNorm: Layer<NormParams>;
  /** From the width of the embedding to that of the blocks, where they differ. */
  readonly project?: Layer<LinearParams>;
  readonly dropoutRate?: number;
  readonly blocks: readonly Block[];
  readonly rotation?: QkTransform;
  /** What a pass may see; {@link makeView} unless given. */
  readonly look?: typeof makeView;
};

export type EncoderParams = {
  tokens: EmbeddingParams;
  types: EmbeddingParams;
  positions?: unknown;
  embeddingNorm: NormParams;
  project?: LinearParams;
  blocks: readonly unknown[];
};

/** An encoder: embed, a stack of blocks that look both ways. */
export function encoder(parts: EncoderParts): Layer<EncoderParams, [MaskedLanguageModelInput, Context], StackOutput> {
  const { blocks, dropoutRate = 0, rotation } = parts;
  return {
    init: (key) => {
      const [tokens, types, positions, norm, project, ...rest] = splitKey(key, 5 + blocks.length);
      const params = {
        tokens: parts.tokens.init(tokens!),
        types: parts.types.init(types!),
        positions: parts.positions?.init(positions!),
        embeddingNorm: parts.embeddingNorm.init(norm!),
        project: parts.project?.init(project!),
        blocks: blocks.map((block, i) => block.init(rest[i]!)),
      };
      return present(params) as Concrete<EncoderParams>;
    },
    apply: (params, { tokens, mask, types, positions }, context) => {
      const length = tokens.shape[1]!;
      const view = (parts.look ?? makeView)({
        pattern: full,
        queries: length,
        keys: length,
        ...present({ keyMask: mask, rotation }),
        ...(positions === undefined ? {} : { positions: { query: positions, key: positions } }),
      });
      const segments = types ?? zeros(tokens.shape, "int32");
      const vectors = add(parts.tokens.apply(params.tokens, tokens), parts.types.apply(params.types, segments));
      const at = positions ?? iota(length);
      const placed =
        parts.positions === undefined
          ? vectors
          : add(vectors, cast(parts.positions.apply(params.positions, at), vectors.dtype));
      const normed: Tensor = parts.embeddingNorm.apply(params.embeddingNorm, placed);
      const dropped = dropout(normed, dropoutRate, context, "embedding");
      const x = parts.project === undefined ? dropped : parts.project.apply(params.project!, dropped);
      return runStack(blocks, params, { x, view }, context);
    },
  };
}
