import * as z from "zod";
import type { makeView } from "../../attention/core/view.ts";
import { type LongformerAttentionParams, longformerAttentions } from "../../attention/softmax/longformer-attention.ts";
import type { DepthMaker } from "../../depth/depth-entry.ts";
import type { StackParams } from "../../depth/layers.ts";
import { type Activation, gelu } from "../../nn/feed-forward.ts";
import type { Head } from "../../nn/head.ts";
import { type MaskedHeadParams, maskedHead } from "../../nn/masked-head.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { behindPadding, countTokens } from "../../position/behind-padding.ts";
import { learned } from "../../position/learned.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type EncoderParts, encoder } from "../encoder.ts";
import type { LanguageModel } from "../language-model.ts";
import {
  type EncoderEntry,
  ffnWidthOption,
  lengthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { type BertBlockParams, type BertParams, bertParts } from "./bert.ts";

export type LongformerOptions = {
  readonly vocabularySize: number;
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Positions that the learned embedding covers. Default: 4096. */
  readonly length?: number;
  /** A window per layer, half of it on each side; the last one holds for all further layers. Default: 512. */
  readonly windows?: readonly number[];
  /** Global positions, of inputs that do not tell which tokens are global. Default: the first. */
  readonly globals?: readonly number[];
  /** How many tokens of a row can be global where the input tells which; those beyond are like the others. Default: 64. */
  readonly maxGlobals?: number;
  /** Segments. Default: 1. */
  readonly types?: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Of the feed-forward network. Default: exact GELU. */
  readonly activation?: Activation;
  /** From transformed states to logits. Default: the tied embedding with a bias. */
  readonly output?: Head;
  /**
   * The token that fills rows: its look-up teaches nothing, it has no position, and those of the others begin behind its number in the
   * table. Default: none, positions are counted from the first column.
   */
  readonly padding?: number;
  readonly dropoutRate?: number;
  /** Of the norms. Default: 1e-5. */
  readonly epsilon?: number;
  /** How the blocks follow one another. Default: one after the other. */
  readonly depth?: DepthMaker;
  /** Makes the views. Default: {@link makeView}. */
  readonly makeView?: typeof makeView;
};

export type LongformerParams = BertParams<LongformerAttentionParams>;

/**
 * Longformer: RoBERTa whose layers look at a window around each token and at a few global tokens, which see everything and have projections of
 * their own. Masked tokens are predicted as in BERT.
 *
 * `x ← norm(x + longformerAttention(x))`, `x ← norm(x + mlp(x))`; k layers of windows w see k·w/2 to each side, and everything through a
 * global token.
 *
 * @source Beltagy, Peters & Cohan 2020, "Longformer: The Long-Document Transformer", §3 and §5, arXiv:2004.05150
 * @differs inputs of any length are computed as they are, not padded to whole windows; the position table starts at random, not as copies of
 *   RoBERTa's
 */
export function longformer(options: LongformerOptions): LanguageModel<LongformerParams> {
  return encoder(longformerParts(options));
}

/** The parts of which {@link longformer} is put together. */
export function longformerParts(
  options: LongformerOptions,
): EncoderParts<MaskedHeadParams, StackParams<BertBlockParams<LongformerAttentionParams>>> {
  const { modelWidth, length = 4096, windows = [512], globals = [0], types = 1, padding, epsilon = 1e-5 } = options;
  const { vocabularySize, layers, ffnWidth = 4 * modelWidth } = options;
  requireSizes("longformer", options, { vocabularySize, layers, length, ffnWidth, types });
  const positions =
    padding === undefined
      ? learned(length, modelWidth)
      : behindPadding(learned(length + padding + 1, modelWidth), padding);
  return {
    ...bertParts({
      ...options,
      length,
      types,
      epsilon,
      scheme: { positions },
      mixer: longformerAttentions({ ...options, windows, globals, causal: false }),
    }),
    name: "longformer",
    head: maskedHead({ ...options, epsilon, activation: gelu }),
    ...(padding !== undefined && { positionsOf: ({ tokens }) => tokens && countTokens(tokens, padding) }),
  };
}

export type LongformerSettings = StackSettings & {
  readonly length?: number;
  readonly ffnWidth?: number;
  readonly window?: number;
};

export const longformerEntry: EncoderEntry<"longformer", LongformerSettings> = /* @__PURE__ */ modelEntry({
  name: "longformer",
  title: "Longformer",
  year: 2020,
  paper: "Beltagy, Peters & Cohan 2020, Longformer: The Long-Document Transformer, arXiv:2004.05150",
  summary: "RoBERTa with a sliding window, and global tokens with projections of their own",
  formula: "y_t = softmax(q_t·k_S)·v_S, S = window(t) ∪ G; t ∈ G: softmax(q′_t·k′)·v′ over all",
  cost: "O(n·(w + g)·d) time, O(n·d) memory",
  category: "encoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      length: lengthOption(),
      ffnWidth: ffnWidthOption(),
      window: positionCount(2).default(64).describe("positions that a query sees, half of them on each side"),
    }),
  make: ({ window, ...settings }) => longformer({ ...present(settings), windows: [window] }),
});
