import {
  add,
  and,
  type Concrete,
  concat,
  expandDims,
  gather,
  greaterEqual,
  less,
  logSoftmax,
  matmul,
  maximum,
  minimum,
  slice,
  splitKey,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import type { EmbeddingParams } from "./embedding.ts";
import type { Head } from "./head.ts";
import { type Initial, normalInitial, zerosInitial } from "./initial.ts";

/** A vocabulary sorted by frequency and cut into clusters; rarer tokens have narrower vectors. */
export type Clusters = {
  readonly vocabularySize: number;
  readonly modelWidth: number;
  /** Where clusters end, ascending, except the last. */
  readonly cutoffs: readonly number[];
  /** Vectors of cluster i have `modelWidth / divisor^i` features. Default: 4. */
  readonly divisor?: number;
};

/** The table of the most frequent tokens, [V₀, C], and those of the other clusters. All are projected to the model's width. */
export type AdaptiveEmbeddingParams = EmbeddingParams & {
  /** [C, C] */
  project: Tensor;
  /** weight [Vᵢ, Cᵢ], project [C, Cᵢ] */
  tails: readonly { weight: Tensor; project: Tensor }[];
};

type Range = { readonly from: number; readonly to: number; readonly width: number };

function rangesOf({ vocabularySize, modelWidth, cutoffs, divisor = 4 }: Clusters): [Range, ...Range[]] {
  const ends = [...cutoffs, vocabularySize];
  const ranges = ends.map((to, i) => ({
    from: ends[i - 1] ?? 0,
    to,
    width: Math.floor(modelWidth / divisor ** i),
  }));
  for (const { from, to, width } of ranges) {
    if (from >= to)
      throw new RangeError(`adaptive: cutoffs must ascend below ${vocabularySize}, got ${cutoffs.join()}`);
    if (width < 1) throw new RangeError(`adaptive: modelWidth ${modelWidth} leaves no feature for rare tokens`);
  }
  return ranges as [Range, ...Range[]];
}

/**
 * Adaptive embedding: rarer tokens have narrower vectors, which are projected to the model's width.
 *
 * @shape  tokens int32 [...] → [..., C]
 * @cost   a look-up in each cluster for every token, since static graphs cannot skip
 * @source Baevski & Auli 2019, "Adaptive Input Representations", arXiv:1809.10853
 */
export function adaptiveEmbedding(
  clusters: Clusters,
  initial: Initial = normalInitial(),
): Layer<AdaptiveEmbeddingParams> {
  const ranges = rangesOf(clusters);
  const { modelWidth } = clusters;
  return {
    init: (key) => {
      const tables = splitKey(key, ranges.length).map((own, i) => {
        const [a, b] = splitKey(own, 2);
        const { from, to, width } = ranges[i]!;
        return { weight: initial(a!, [to - from, width]), project: initial(b!, [modelWidth, width]) };
      });
      return { ...tables[0]!, tails: tables.slice(1) } as Concrete<AdaptiveEmbeddingParams>;
    },
    apply: ({ tails, ...first }, tokens) => {
      const vectors = [first, ...tails].map(({ weight, project }, i) => {
        const { from, to } = ranges[i]!;
        const index = maximum(minimum(sub(tokens, from), to - from - 1), 0);
        const isHere = and(greaterEqual(tokens, from), less(tokens, to));
        const own = matmul(gather(weight, index), project, { transposeB: true });
        return where(expandDims(isHere, -1), own, 0);
      });
      return vectors.reduce((a, b) => add(a, b));
    },
  };
}

export type AdaptiveHeadParams = {
  bias: Tensor;
  /** The logits of the other clusters, which stand beside those of the most frequent tokens: [n, C], [n]. */
  clusters: { weight: Tensor; bias: Tensor };
  /** [Vᵢ] each. */
  tails: readonly { bias: Tensor }[];
  /** Projection of the most frequent tokens, [C, C], if it is not that of the embedding. */
  project?: Tensor;
};

export type AdaptiveHeadOptions = Clusters & {
  /** Gives the most frequent tokens a projection of their own. Default: that of the embedding. */
  readonly ownProjection?: true;
  readonly initial?: Initial;
};

/**
 * Adaptive softmax, tied to an {@link adaptiveEmbedding}: chooses among the most frequent tokens and the other clusters, then within the
 * cluster. Its logits are log-probabilities, `log p(cluster) + log p(token | cluster)`.
 *
 * Of the n clusters after the first, cluster i has the (n − i)-th cluster logit, as in the authors' code.
 *
 * @shape  x [..., C] → [..., V]
 * @cost   every cluster for every position, since static graphs cannot skip: it saves parameters, not time
 * @source Grave et al. 2017, "Efficient Softmax Approximation for GPUs", arXiv:1609.04309
 */
export function adaptiveHead(options: AdaptiveHeadOptions): Head<AdaptiveHeadParams> {
  const [first, ...tails] = rangesOf(options);
  const { modelWidth, initial = normalInitial(), ownProjection } = options;
  return {
    init: (key) => {
      const [a, b] = splitKey(key, 2);
      return {
        bias: zerosInitial(key, [first.to]),
        clusters: { weight: initial(a!, [tails.length, first.width]), bias: zerosInitial(key, [tails.length]) },
        tails: tails.map(({ from, to }) => ({ bias: zerosInitial(key, [to - from]) })),
        ...(ownProjection && { project: initial(b!, [modelWidth, first.width]) }),
      } as Concrete<AdaptiveHeadParams>;
    },
    apply: (params, x, tokens) => {
      const embedding = tokens as AdaptiveEmbeddingParams;
      const weights = concat([embedding.weight, params.clusters.weight], 0);
      const own = matmul(matmul(x, params.project ?? embedding.project), weights, { transposeB: true });
      const shortlist = logSoftmax(add(own, concat([params.bias, params.clusters.bias], 0)));
      const rest = tails.map((_, i) => {
        const { weight, project } = embedding.tails[i]!;
        const logits = add(matmul(matmul(x, project), weight, { transposeB: true }), params.tails[i]!.bias);
        const column = first.to + tails.length - 1 - i;
        return add(logSoftmax(logits), slice(shortlist, -1, column, column + 1));
      });
      return concat([slice(shortlist, -1, 0, first.to), ...rest], -1);
    },
  };
}
