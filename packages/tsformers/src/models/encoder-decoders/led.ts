import * as z from "zod";
import type { makeView } from "../../attention/core/view.ts";
import { attention } from "../../attention/softmax/attention.ts";
import { longformerAttentions } from "../../attention/softmax/longformer-attention.ts";
import { type Block, postNormBlock } from "../../blocks/block.ts";
import { type CrossBlock, postNormCrossBlock } from "../../blocks/cross-block.ts";
import { embedding, paddedEmbedding } from "../../nn/embedding.ts";
import { type Activation, gelu, mlp } from "../../nn/feed-forward.ts";
import type { Head } from "../../nn/head.ts";
import { normalInitial } from "../../nn/initial.ts";
import { layerNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { learned } from "../../position/learned.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type EncoderDecoderParams, type EncoderDecoderParts, encoderDecoder } from "../encoder-decoder.ts";
import {
  type EncoderDecoderEntry,
  ffnWidthOption,
  initializerRangeOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SequenceToSequence } from "../sequence-to-sequence.ts";

export type LedOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  /** Default: `layers`. */
  readonly decoderLayers?: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: `heads`. */
  readonly decoderHeads?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: `ffnWidth`. */
  readonly decoderFfnWidth?: number;
  /** Positions that the learned embedding of sources covers. Default: 16,384. */
  readonly sourceLength?: number;
  /** The same of targets. Default: 1024. */
  readonly targetLength?: number;
  /** A window per layer of the encoder, half of it on each side; the last one holds for all further layers. Default: 512. */
  readonly windows?: readonly number[];
  /** Global positions of sources that do not tell which tokens are global. Default: the first. */
  readonly globals?: readonly number[];
  /** How many tokens of a source can be global where it tells which; those beyond are like the others. Default: 64. */
  readonly maxGlobals?: number;
  /** Default: exact GELU. */
  readonly activation?: Activation;
  /** Logits from hidden states. Default: the token embedding itself (tied). */
  readonly head?: Head;
  /** A token whose look-up teaches nothing. */
  readonly padding?: number;
  readonly dropoutRate?: number;
  /** Of the norms. Default: 1e-5. */
  readonly epsilon?: number;
  /** Standard deviation of initial weights. Default: 0.02. */
  readonly initializerRange?: number;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

/**
 * LED: BART whose encoder has Longformer's attention, so that it reads long documents; the decoder looks at everything in the encoded source.
 *
 * Encoder: `x ← norm(x + longformerAttention(x))`, `x ← norm(x + mlp(x))`; decoder: causal attention, attention to the source, mlp, each
 * normalised after its residual sum. Learned positions on both sides, a norm after the embedding, one matrix for source, target and output.
 *
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §7, arXiv:2004.05150; BART: Lewis et al. 2019,
 *   arXiv:1910.13461
 * @differs sources of any length are computed as they are, not padded to whole windows; position tables start at random, not as copies of
 *   BART's
 */
export function led(options: LedOptions): SequenceToSequence<EncoderDecoderParams> {
  return encoderDecoder(ledParts(options));
}

/** The parts of which {@link led} is put together. */
export function ledParts(options: LedOptions): EncoderDecoderParts {
  const { vocabularySize, layers, modelWidth, heads, dropoutRate = 0, epsilon = 1e-5, activation = gelu } = options;
  const { decoderLayers = layers, decoderHeads = heads, ffnWidth = 4 * modelWidth, padding } = options;
  const { decoderFfnWidth = ffnWidth, sourceLength = 16_384, targetLength = 1024 } = options;
  const { windows = [512], globals = [0] } = options;
  const further = { vocabularySize, layers, decoderLayers, ffnWidth, decoderFfnWidth, sourceLength, targetLength };
  requireSizes("led", options, further);
  const norm = layerNorm({ epsilon });
  const initial = normalInitial(options.initializerRange);
  const tokens = embedding(vocabularySize, modelWidth, initial);
  const near = longformerAttentions({ ...options, windows, globals, causal: false, initial });
  const ffn = (width: number) => mlp({ modelWidth, ffnWidth: width, activation, dropoutRate, initial });
  const encoderFfn = ffn(ffnWidth);
  const mixer = attention({ modelWidth, heads: decoderHeads, dropoutRate, initial });
  const crossBlock: CrossBlock = postNormCrossBlock({
    modelWidth,
    norm,
    mixer,
    cross: mixer,
    ffn: ffn(decoderFfnWidth),
  });
  return {
    name: "led",
    vocabularySize,
    tokens: padding === undefined ? tokens : paddedEmbedding(tokens, padding),
    sourcePositions: learned(sourceLength, modelWidth, initial),
    targetPositions: learned(targetLength, modelWidth, initial),
    sourceNorm: norm(modelWidth),
    targetNorm: norm(modelWidth),
    dropoutRate,
    encoder: Array.from(
      { length: layers },
      (_, layer): Block => postNormBlock({ modelWidth, norm, mixer: near(layer), ffn: encoderFfn }),
    ),
    decoder: Array.from({ length: decoderLayers }, () => crossBlock),
    ...present({ head: options.head, makeView: options.makeView }),
  };
}

export type LedSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly initializerRange?: number;
  readonly window?: number;
};

export const ledEntry: EncoderDecoderEntry<"led", LedSettings> = /* @__PURE__ */ modelEntry({
  name: "led",
  title: "LED",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, §7, arXiv:2004.05150",
  summary: "an encoder-decoder whose encoder has Longformer's attention",
  formula: "encoder: Longformer's attention; decoder: causal attention, then attention to the source",
  cost: "O(s·(w + g)·d + t·(s + t)·d) time for s of the source and t of the target, O((s + t)·d) memory",
  category: "encoder-decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      initializerRange: initializerRangeOption(),
      window: positionCount(2)
        .default(64)
        .describe("positions of the source that a query sees, half of them on each side"),
    }),
  make: ({ window, length, ...settings }) =>
    led({ ...present(settings), sourceLength: length, targetLength: length, windows: [window] }),
});
