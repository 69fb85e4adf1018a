import { add, type Concrete, cast, splitKey, type Tensor, zeros } from "@tsformers/engine";
import type { Context, Layer, PositionEmbedding } from "../kinds/index.ts";
import { dropout, within } from "../nn/dropout.ts";
import type { EmbeddingParams } from "../nn/embedding.ts";
import type { LinearParams } from "../nn/linear.ts";
import type { NormParams } from "../nn/norm.ts";
import { present } from "../schema/present.ts";
import { extentOf, type RowContent } from "./language-model.ts";

/** How tokens become vectors, each part a value of its kind; what is absent is not there. */
export type TokenFrontParts = {
  readonly tokens: Layer<EmbeddingParams>;
  /** A vector for each segment. Default: where an input tells segments, they are tokens whose vectors are added, as in GPT-2. */
  readonly types?: Layer<EmbeddingParams>;
  readonly positions?: PositionEmbedding;
  /** Applied to the sum of token, segment and position vectors. */
  readonly embeddingNorm?: Layer<NormParams>;
  /** From the width of the embedding to that of the blocks, where they differ. */
  readonly project?: Layer<LinearParams>;
  readonly dropoutRate?: number;
};

export type TokenFrontParams = {
  tokens: EmbeddingParams;
  types?: EmbeddingParams;
  positions?: unknown;
  embeddingNorm?: NormParams;
  project?: LinearParams;
};

export type TokenFrontInput = RowContent & {
  /** int32 [B, T]. Default: all the first. */
  readonly types?: Tensor | undefined;
  /** Where the tokens stand, int32 [T] or [B, T]. */
  readonly at: Tensor;
};

/**
 * `x = project(norm(token + segment + position))`, where vectors may stand in place of the tokens' own.
 *
 * @shape  tokens int32 [B, T], or vectors [B, T, E] → [B, T, C]
 */
export function tokenFront(parts: TokenFrontParts): Layer<TokenFrontParams, [TokenFrontInput, Context]> {
  const { dropoutRate = 0 } = parts;
  return {
    init: (key) => {
      const [tokens, types, positions, norm, project] = splitKey(key, 5);
      const params = {
        tokens: parts.tokens.init(tokens!),
        types: parts.types?.init(types!),
        positions: parts.positions?.init(positions!),
        embeddingNorm: parts.embeddingNorm?.init(norm!),
        project: parts.project?.init(project!),
      };
      return present(params) as Concrete<TokenFrontParams>;
    },
    apply: (params, input, context) => {
      const { tokens, vectors, at } = input;
      const own =
        tokens === undefined ? cast(vectors, params.tokens.weight.dtype) : parts.tokens.apply(params.tokens, tokens);
      const segments = segmentVectors(parts, params, input);
      const summed = segments === undefined ? own : add(own, segments);
      const { positions, embeddingNorm, project } = parts;
      const placed =
        positions === undefined
          ? summed
          : add(summed, cast(positions.apply(params.positions, at, within(context, "positions")), summed.dtype));
      const normed = embeddingNorm === undefined ? placed : embeddingNorm.apply(params.embeddingNorm!, placed);
      const x = dropout(normed, dropoutRate, context, "embedding");
      return project === undefined ? x : project.apply(params.project!, x);
    },
  };
}

function segmentVectors(parts: TokenFrontParts, params: TokenFrontParams, input: TokenFrontInput): Tensor | undefined {
  const { types } = input;
  if (parts.types !== undefined) return parts.types.apply(params.types!, types ?? zeros(extentOf(input), "int32"));
  return types === undefined ? undefined : parts.tokens.apply(params.tokens, types);
}
