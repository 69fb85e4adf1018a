import * as z from "zod";
import { type LshAttentionOptions, lshAttention, lshDefaults } from "../../attention/lsh/lsh-attention.ts";
import { usualBuckets } from "../../attention/lsh/lsh-hash.ts";
import { localAttention } from "../../attention/softmax/local-attention.ts";
import type { StackParams } from "../../depth/layers.ts";
import { reversible, reversibleBlock } from "../../depth/reversible.ts";
import type { Depth, Mixer, PositionEmbedding } from "../../kinds/index.ts";
import { chunkedFeedForward } from "../../nn/chunked.ts";
import { embedding } from "../../nn/embedding.ts";
import { type Activation, mlp, relu } from "../../nn/feed-forward.ts";
import { linearHead } from "../../nn/head.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { axial, axialGrid } from "../../position/axial.ts";
import { passCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParams, type DecoderParts, decoder } from "../decoder.ts";
import { encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { requireMixer } from "../sights.ts";

export type ReformerAttention = "local" | "lsh";

export type ReformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: modelWidth / heads. */
  readonly headWidth?: number;
  /** Positions that the grid of axial positions covers. */
  readonly length: number;
  /** Whether no position looks ahead. Default: true. */
  readonly causal?: boolean;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: ReLU. */
  readonly activation?: Activation;
  /** Of the LSH layers: rounds, chunk, buckets, reach. */
  readonly lsh?: Partial<Omit<LshAttentionOptions, "modelWidth" | "heads" | "headWidth" | "causal">>;
  /** Tokens in a chunk of the local layers. Default: 64. */
  readonly localChunk?: number;
  /** What layers have, given first to last and then again from the first. Default: local and LSH attention in turn. */
  readonly attention?: readonly ReformerAttention[];
  /** How positions exchange information in each layer. Default: as `attention` says. */
  readonly mixer?: (layer: number) => Mixer;
  /** Default: axial over a grid as square as possible, half of the features for rows and half for columns. */
  readonly positions?: PositionEmbedding;
  /** Positions that feed-forward networks are applied to at a time. Default: all. */
  readonly ffnChunk?: number;
  /** Keeps the streams between blocks instead of undoing them. */
  readonly keepsStreams?: true;
  readonly dropoutRate?: number;
  readonly epsilon?: number;
};

/** Of tokens and of rows and columns of positions. */
const ofInputs = normalInitial(1);

const defaults = { localChunk: 64, attention: ["local", "lsh"] } as const;

/**
 * Reformer: two residual streams that are undone instead of kept, attention within buckets of alike tokens, feed-forward networks in chunks.
 *
 * `y₁ = x₁ + attention(norm(x₂))`, `y₂ = x₂ + ffn(norm(y₁))` from x₁ = x₂ = x; `logits = norm([y₁, y₂])·W`. The paper's enwik8 model: 12 layers,
 * width 1024, 8 heads, feed-forward 4096, length 65,536, chunks of 128, 8 rounds in evaluation. Vectors of tokens and positions begin with a
 * deviation of 1, matrices Glorot-uniform, as in the authors' code.
 *
 * @source Kitaev, Kaiser & Levskaya 2020, "Reformer: The Efficient Transformer", arXiv:2001.04451
 * @differs causal LSH layers look at the last `chunk` tokens of their own bucket, so that no later token has a say; the published reach
 *   (`earlierInChunks`) is there for checkpoints
 */
export function reformer(options: ReformerOptions): LanguageModel<DecoderParams> {
  const { head, ...parts } = reformerParts(options);
  return options.causal === false ? encoder({ ...parts, head: head! }) : decoder({ ...parts, head: head! });
}

/** The parts of which {@link reformer} is put together. */
export function reformerParts(options: ReformerOptions): DecoderParts<StackParams> {
  const { vocabularySize, layers, modelWidth, heads, length, causal = true, dropoutRate = 0 } = options;
  const { ffnWidth = 4 * modelWidth, activation = relu, epsilon = 1e-12, lsh = {} } = options;
  const { localChunk = defaults.localChunk, attention = defaults.attention } = options;
  requireSizes("reformer", options, { vocabularySize, layers, length, ffnWidth });
  if (attention.length === 0)
    throw new RangeError("reformer: expected local or lsh attention for the layers, got none");
  const initial = glorotUniform();
  const { headWidth } = options;
  const sizes = { modelWidth, heads, causal, dropoutRate, bias: false, initial, ...present({ headWidth }) };
  const mixers = {
    local: () => localAttention({ ...sizes, chunk: localChunk }) as Mixer,
    lsh: () => lshAttention({ ...sizes, buckets: usualBuckets(length, lsh.chunk ?? 64), ...lsh }) as Mixer,
  };
  const mixer = options.mixer ?? ((layer) => mixers[attention[layer % attention.length]!]());
  const norm = layerNorm({ epsilon });
  const network = mlp({ modelWidth, ffnWidth, activation, dropoutRate, initial });
  const { ffnChunk: chunkLength } = options;
  const ffn = chunkLength === undefined ? network : chunkedFeedForward(network, { chunkLength });
  const blocks = Array.from({ length: layers }, (_, layer) => {
    const own = mixer(layer);
    requireMixer("reformer", layer, own);
    return reversibleBlock<unknown, unknown>({ modelWidth, norm, mixer: own, ffn });
  });
  return {
    name: "reformer",
    vocabularySize,
    width: 2 * modelWidth,
    embeddingWidth: modelWidth,
    tokens: embedding(vocabularySize, modelWidth, ofInputs),
    positions: options.positions ?? axial({ grid: axialGrid(length), widths: halves(modelWidth), initial: ofInputs }),
    dropoutRate,
    depth: reversible(blocks, {
      finalNorm: norm(2 * modelWidth),
      ...present({ keepsStreams: options.keepsStreams }),
    }) as Depth<StackParams>,
    head: linearHead(2 * modelWidth, vocabularySize, { initial }),
  };
}

function halves(width: number): [number, number] {
  const half = Math.floor(width / 2);
  return [half, width - half];
}

export type ReformerSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly attention?: readonly ReformerAttention[];
  readonly rounds?: number;
  readonly chunk?: number;
  readonly localChunk?: number;
};

export const reformerEntry: DecoderEntry<"reformer", ReformerSettings> = /* @__PURE__ */ modelEntry({
  name: "reformer",
  title: "Reformer",
  year: 2020,
  paper: "Kitaev, Kaiser & Levskaya 2020, Reformer: The Efficient Transformer, arXiv:2001.04451",
  summary: "reversible blocks, local and LSH attention in turn, axial positions",
  formula: "y₁ = x₁ + attention(norm(x₂)), y₂ = x₂ + ffn(norm(y₁))",
  cost: "O(n·log n·r + n·r·c·d) time, O(n·d) memory for all layers together",
  category: "decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      attention: z
        .array(z.enum(["local", "lsh"]))
        .min(1)
        .default([...defaults.attention])
        .describe("what the layers have, from the first on, and then again"),
      rounds: passCount().default(lshDefaults.rounds).describe("how often tokens are hashed and sorted"),
      chunk: positionCount().default(lshDefaults.chunk).describe("tokens in a chunk of the LSH layers"),
      localChunk: positionCount().default(defaults.localChunk).describe("tokens in a chunk of the local layers"),
    }),
  make: ({ rounds, chunk, ...settings }) => reformer({ ...present(settings), lsh: { rounds, chunk } }),
});
