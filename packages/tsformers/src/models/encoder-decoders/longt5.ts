import * as z from "zod";
import { slidingWindow } from "../../attention/patterns/window.ts";
import { transientGlobal } from "../../attention/transient-global/transient-global.ts";
import type { Mixer } from "../../kinds/index.ts";
import { type FeedForward, gatedMlp, geluTanh } from "../../nn/feed-forward.ts";
import { type Head, linearHead } from "../../nn/head.ts";
import { rmsNorm } from "../../nn/norm.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type EncoderDecoderParams, type EncoderDecoderParts, encoderDecoder } from "../encoder-decoder.ts";
import {
  decoderLayersOption,
  type EncoderDecoderEntry,
  ffnWidthOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SequenceToSequence } from "../sequence-to-sequence.ts";
import { type T5Options, t5Parts } from "./t5.ts";

export type LongT5Options = Omit<T5Options, "sourceMixer"> & {
  /** What a position of the source sees besides its neighbours: nothing, or a token for each block. Default: `transient-global`. */
  readonly attention?: "local" | "transient-global";
  /** r: how far positions of the source see to each side. Default: 127. */
  readonly radius?: number;
  /** Positions in a block, each of which has a global token. Default: 16. */
  readonly block?: number;
};

const defaults = { attention: "transient-global", radius: 127, block: 16 } as const;

/**
 * LongT5: T5 v1.1 for long sources. Positions of the source see their neighbours only (local attention), or also a token for each block, made
 * anew in each layer (transient-global attention). The decoder is T5's and sees the whole source.
 *
 * @source Guo et al. 2022, "LongT5: Efficient Text-To-Text Transformer for Long Sequences", §2, arXiv:2112.07916
 */
export function longT5(options: LongT5Options): SequenceToSequence<EncoderDecoderParams> {
  return encoderDecoder(longT5Parts(options));
}

/** The parts of {@link longT5}. */
export function longT5Parts(options: LongT5Options): EncoderDecoderParts {
  const { attention, radius, block, ...rest } = { ...defaults, ...options };
  const { vocabularySize, modelWidth, layers, decoderLayers = layers, ffnWidth = 4 * modelWidth } = options;
  requireSizes("longt5", options, { vocabularySize, layers, decoderLayers, ffnWidth, block });
  const norm = rmsNorm({ epsilon: options.epsilon ?? 1e-6 });
  const given: T5Options = {
    ffn: (sizes) => gatedMlp(sizes) as FeedForward<unknown>,
    activation: geluTanh,
    head: linearHead(modelWidth, vocabularySize) as Head,
    ...rest,
  };
  if (attention === "local")
    return { ...t5Parts(given), name: "longt5", sourcePattern: slidingWindow({ before: radius, after: radius }) };
  const sourceMixer: NonNullable<T5Options["sourceMixer"]> = (layer, sizes) =>
    transientGlobal({ ...sizes, radius, block, norm, layer, ...present({ distances: options.distances }) }) as Mixer;
  return { ...t5Parts({ ...given, sourceMixer }), name: "longt5" };
}

export type LongT5Settings = StackSettings & {
  readonly decoderLayers?: number;
  readonly ffnWidth?: number;
  readonly attention?: "local" | "transient-global";
  readonly radius?: number;
  readonly block?: number;
};

export const longT5Entry: EncoderDecoderEntry<"longt5", LongT5Settings> = /* @__PURE__ */ modelEntry({
  name: "longt5",
  title: "LongT5",
  year: 2022,
  paper: "Guo et al. 2022, LongT5: Efficient Text-To-Text Transformer for Long Sequences, arXiv:2112.07916",
  summary: "T5 whose source sees its neighbours and a token for each of its blocks",
  formula: "g_m = norm(Σ_{i of block m} x_i); y_t = softmax(q_t·k_S + bias)·v_S, S = {s : |s − t| ≤ r} ∪ {g_0, g_1, …}",
  cost: "O(s·(r + s/b)·d + t·(s + t)·d) time for s of the source and t of the target, O((s + t)·d) memory",
  category: "encoder-decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      decoderLayers: decoderLayersOption(),
      ffnWidth: ffnWidthOption(),
      attention: z
        .enum(["local", "transient-global"])
        .default(defaults.attention)
        .describe("what positions of the source see besides their neighbours: nothing, or a token for each block"),
      radius: positionCount(0).default(defaults.radius).describe("how far positions of the source see to each side"),
      block: positionCount().default(defaults.block).describe("positions whose sum is a global token"),
    }),
  make: (settings) => longT5(present(settings)),
});
