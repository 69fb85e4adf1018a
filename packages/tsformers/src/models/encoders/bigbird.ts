import * as z from "zod";
import { bigbird as bigbirdPattern } from "../../attention/patterns/bigbird.ts";
import { type RandomBlocks, uniformBlocks } from "../../attention/patterns/bigbird-plan.ts";
import { type AttentionParams, attention } from "../../attention/softmax/attention.ts";
import { blockSparseAttention } from "../../attention/softmax/block-sparse-attention.ts";
import { scaledEmbedding } from "../../nn/embedding.ts";
import { geluTanh } from "../../nn/feed-forward.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type EncoderEntry,
  ffnWidthOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { type BertOptions, type BertParams, type BertPreTrainingParams, bertParts, withNextSentence } from "./bert.ts";

export type BigBirdOptions = Omit<BertOptions, "scheme" | "pattern" | "mixer" | "depth"> & {
  /** Positions in a block. Default: 64. */
  readonly block?: number;
  /** r: random blocks that each block of queries sees. Default: 3. */
  readonly random?: number;
  /** The random blocks of a layer; one that stands twice in a list counts twice. Default: drawn uniformly, each layer and head its own. */
  readonly randomBlocks?: (layer: number) => RandomBlocks;
  /** All positions see all, as short texts do in the released code. Default: by blocks. */
  readonly full?: true;
  /** Whether queries, keys and values have biases. Default: true. */
  readonly bias?: boolean;
  /** Word embeddings are multiplied by √C. Default: they are not. */
  readonly scaled?: true;
};

const defaults = { block: 64, random: 3 };

/**
 * BigBird, internal transformer construction: BERT whose blocks of positions see the first and the last block, their neighbours and a few
 * random ones; the first and the last block see all.
 *
 * `S_i = {0, i − 1, i, i + 1, last} ∪ random(i)` in blocks. Base model: 12 layers, width 768, 12 heads, length 4,096, blocks of 64, r = 3.
 *
 * @cost   O(n·b·(5 + r)) pairs
 * @source Zaheer et al. 2020, "Big Bird: Transformers for Longer Sequences", arXiv:2007.14062
 * @differs texts are computed as they are, not padded to whole blocks. With the default random blocks, short texts see fewer blocks than in
 *   the released code, which sees all where there are at most 2·r + 5
 */
export function bigbird(options: BigBirdOptions): LanguageModel<BertParams> {
  return encoder(bigbirdParts(options));
}

/** BigBird with the next-sentence task of {@link bertForPreTraining}. */
export function bigbirdForPreTraining(options: BigBirdOptions): LanguageModel<BertPreTrainingParams> {
  return withNextSentence(bigbird(options), options.modelWidth);
}

/** The parts of which {@link bigbird} is put together. */
export function bigbirdParts(options: BigBirdOptions): ReturnType<typeof bertParts<AttentionParams>> {
  const { block, random, randomBlocks, full, bias = true, scaled, ...rest } = { ...defaults, ...options };
  const { vocabularySize, modelWidth, heads, layers, length, dropoutRate = 0, activation = geluTanh } = options;
  const { ffnWidth = 4 * modelWidth, types = 2 } = options;
  requireSizes("bigbird", options, { vocabularySize, layers, length, ffnWidth, types, block });
  const drawn = Array.from(
    { length: layers },
    (_, layer): RandomBlocks =>
      randomBlocks === undefined ? uniformBlocks({ random, heads, seed: layer }) : randomBlocks(layer),
  );
  const patterns = drawn.map((own) => bigbirdPattern({ block, heads, random: own }));
  const sizes = { modelWidth, heads, bias, outBias: true, dropoutRate };
  const parts = bertParts<AttentionParams>({
    ...rest,
    activation,
    ...(full
      ? { mixer: () => attention(sizes) }
      : {
          pattern: (layer) => patterns[layer]!,
          mixer: (layer) => blockSparseAttention({ ...sizes, block, random: drawn[layer]! }),
        }),
  });
  const tokens = scaled ? scaledEmbedding(parts.tokens, Math.sqrt(modelWidth)) : parts.tokens;
  return { ...parts, name: "bigbird", tokens };
}

export type BigBirdSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly block?: number;
  readonly random?: number;
};

export const bigbirdEntry: EncoderEntry<"bigbird", BigBirdSettings> = /* @__PURE__ */ modelEntry({
  name: "bigbird",
  title: "BigBird",
  year: 2020,
  paper: "Zaheer et al. 2020, Big Bird: Transformers for Longer Sequences, arXiv:2007.14062",
  summary: "BERT whose blocks see the ends, their neighbours and a few random blocks",
  formula: "S_i = {0, i − 1, i, i + 1, last} ∪ random(i), in blocks",
  cost: "O(n·b·(5 + r)·d) time, O(n·d) memory",
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      block: positionCount().default(defaults.block).describe("positions in a block"),
      random: positionCount(0).default(defaults.random).describe("random blocks that each block of queries sees"),
    }),
  make: (settings) => bigbird(present(settings)),
});
