import { bigbird as bigbirdPattern, type RandomBlocks } from "../attention/patterns/bigbird.ts";
import { uniformBlocks } from "../attention/patterns/bigbird-plan.ts";
import { type AttentionParams, attention } from "../attention/softmax/attention.ts";
import type { Mixer } from "../kinds/index.ts";
import { scaledEmbedding } from "../nn/embedding.ts";
import { geluTanh } from "../nn/feed-forward.ts";
import { requireCounts } from "../nn/sizes.ts";
import { type BertOptions, type BertParams, bertParts } from "./bert.ts";
import { encoder } from "./encoder.ts";
import type { LanguageModel } from "./language-model.ts";

export type BigBirdOptions = Omit<BertOptions, "scheme" | "pattern" | "mixer" | "depth"> & {
  /** Positions in a block. Default: 64. */
  readonly block?: number;
  /** r: random blocks that each block of queries sees. Default: 3. */
  readonly random?: number;
  /** The random blocks of a layer. Default: drawn uniformly, each layer and head its own. */
  readonly randomBlocks?: (layer: number) => RandomBlocks;
  /** Whether queries, keys and values have biases. Default: true. */
  readonly bias?: boolean;
  /** Word embeddings are multiplied by √C. Default: they are not. */
  readonly scaled?: true;
};

/**
 * BigBird, internal transformer construction: BERT whose blocks of positions see the first and the last block, their neighbours and a few
 * random ones; the first and the last block see all.
 *
 * `S_i = {0, i − 1, i, i + 1, last} ∪ random(i)` in blocks. Base model: 12 layers, width 768, 12 heads, length 4,096, blocks of 64, r = 3.
 *
 * @cost   O(n·b·(5 + r)) pairs
 * @source Zaheer et al. 2020, "Big Bird: Transformers for Longer Sequences", arXiv:2007.14062
 * @differs short sequences need no full attention instead: where few blocks are left, all of them are seen. A block that is drawn though
 *   it is seen anyway counts once
 */
export function bigbird(options: BigBirdOptions): LanguageModel<BertParams> {
  return encoder(bigbirdParts(options));
}

/** The parts of which {@link bigbird} is put together. */
export function bigbirdParts(options: BigBirdOptions): ReturnType<typeof bertParts<AttentionParams>> {
  const { block = 64, random = 3, randomBlocks, bias = true, scaled, ...rest } = options;
  const { modelWidth, heads, layers, dropoutRate = 0, activation = geluTanh } = options;
  requireCounts("bigbird", { block, heads, layers });
  const randomOf = randomBlocks ?? ((layer: number) => uniformBlocks({ random, heads, seed: layer }));
  const patterns = Array.from({ length: layers }, (_, layer) =>
    bigbirdPattern({ block, heads, random: randomOf(layer) }),
  );
  const parts = bertParts<AttentionParams>({
    ...rest,
    activation,
    pattern: (layer) => patterns[layer]!,
    mixer: (): Mixer<AttentionParams> => attention({ modelWidth, heads, bias, outBias: true, dropoutRate }),
  });
  const tokens = scaled ? scaledEmbedding(parts.tokens, Math.sqrt(modelWidth)) : parts.tokens;
  return { ...parts, name: "bigbird", tokens };
}
