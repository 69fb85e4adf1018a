import { reshape, sigmoid, stack, stopGradient, type Tensor } from "@tsformers/engine";
import * as z from "zod";
import {
  type AdaptiveParams,
  adaptiveDepth,
  type ExitRule,
  requireExits,
} from "../../depth/adaptive/adaptive-depth.ts";
import {
  agreesWithLast,
  consistencyLoss,
  earlierExitLoss,
  exitWeights,
  type WeightGrowth,
} from "../../depth/adaptive/exit-losses.ts";
import {
  confident,
  decayingThreshold,
  logitsAt,
  saturation,
  softmaxResponse,
  type ThresholdDecay,
} from "../../depth/adaptive/exit-rules.ts";
import { crossEntropies } from "../../nn/cross-entropy.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { passCount, positionCount } from "../../schema/count.ts";
import { present } from "../../schema/present.ts";
import { type DecoderDepth, type EncoderDecoderParams, encoderDecoder } from "../encoder-decoder.ts";
import { exitLogits } from "../exit-logits.ts";
import {
  decoderLayersOption,
  type EncoderDecoderEntry,
  ffnWidthOption,
  fullCost,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import type { SequenceToSequence } from "../sequence-to-sequence.ts";
import { type T5Options, t5Parts } from "./t5.ts";

export type CalmOptions = Omit<T5Options, "decoderLayers"> & {
  /** 2 at least. Default: `layers`, or 2. */
  readonly decoderLayers?: number;
  /**
   * How sure a layer is: by how much the most likely token leads, by how little the layer changed the state, or what a classifier says, which is
   * trained beside the model. Default: softmax.
   */
  readonly confidence?: "softmax" | "saturation" | "classifier";
  /** λ, from which confidence a token leaves; above 1 none ever does. Default: 0.9. */
  readonly threshold?: number;
  /** Makes the threshold stricter at the beginning of a target. Default: it is the same everywhere. */
  readonly decay?: ThresholdDecay;
  /** Layers that every token goes through. Default: 1. */
  readonly leastLayers?: number;
  /** How the weights of the losses of exits grow with depth. Default: linear. */
  readonly lossGrowth?: WeightGrowth;
};

/**
 * CALM: a T5 whose decoder stops for a token as soon as it is confident. How much that may change what is written is bounded by calibrating the
 * threshold, see {@link learnThenTest}.
 *
 * Training adds the losses of exits, `exits = Σ_{n<N} (ω_n / ω_N)·L_n` with `ω_n = n`, and for a classifier the loss `consistency`, whose
 * gradients stop at the states. All exits share the final norm and the head.
 *
 * @source Schuster et al. 2022, "Confident Adaptive Language Modeling", arXiv:2207.07061
 * @differs losses are divided by ω_N and not by their sum, which Adam does not tell apart; the classifier learns while the model does, not afterwards
 */
export function calm(options: CalmOptions): SequenceToSequence<EncoderDecoderParams> {
  const { layers, decoderLayers = Math.max(layers, 2), modelWidth, leastLayers = 1, lossGrowth = "linear" } = options;
  const { confidence = "softmax", vocabularySize } = options;
  requireSizes("calm", options, { vocabularySize, layers });
  requireExits("calm: decoder", { layers: decoderLayers, leastLayers });
  const rule = ruleOf(options);
  const decoderDepth: DecoderDepth = (blocks, rest) => adaptiveDepth(blocks, { ...rest, rule, leastLayers });
  const parts = { ...t5Parts({ ...options, decoderLayers }), name: "calm", decoderDepth };
  const omega = exitWeights(decoderLayers, lossGrowth);
  return {
    ...encoderDecoder(parts),
    trainingLosses: (params, output, { targets, weights }) => {
      const logits = exitLogits(parts, params, output);
      const losses = logits.slice(0, -1).map((own) => crossEntropies(own, targets));
      const exits = earlierExitLoss(losses, weights, omega);
      if (confidence !== "classifier") return { exits };
      const { exit } = params.decoder as AdaptiveParams;
      const scores = stack(
        output.hidden.slice(1, -1).map((state) => classify(modelWidth, exit as LinearParams, stopGradient(state))),
      );
      return { exits, consistency: consistencyLoss(scores, agreesWithLast(logits), weights) };
    },
  };
}

/** w·h + b of the one classifier that all layers share: [B, T, C] → [B, T]. */
function classify(modelWidth: number, params: LinearParams, state: Tensor): Tensor {
  return reshape(linear(modelWidth, 1).apply(params, state), state.shape.slice(0, -1));
}

function ruleOf({ confidence = "softmax", threshold = 0.9, decay, modelWidth }: CalmOptions): ExitRule {
  if (!Number.isFinite(threshold)) throw new RangeError(`calm: expected a finite threshold, got ${threshold}`);
  const from = decay === undefined ? threshold : decayingThreshold(threshold, decay);
  if (confidence === "softmax") return confident((at) => softmaxResponse(logitsAt(at)), from);
  if (confidence === "saturation") return confident(({ before, after }) => saturation(before, after), from);
  return confident<LinearParams>(
    ({ after }, params) => sigmoid(classify(modelWidth, params, after)),
    from,
    (key) => linear(modelWidth, 1).init(key),
  );
}

export type CalmSettings = StackSettings & {
  readonly decoderLayers?: number;
  readonly ffnWidth?: number;
  readonly confidence?: "softmax" | "saturation" | "classifier";
  readonly threshold?: number;
  readonly temperature?: number;
  readonly length?: number;
  readonly leastLayers?: number;
};

export const calmEntry: EncoderDecoderEntry<"calm", CalmSettings> = /* @__PURE__ */ modelEntry({
  name: "calm",
  title: "CALM",
  year: 2022,
  paper: "Schuster et al. 2022, Confident Adaptive Language Modeling, arXiv:2207.07061",
  summary: "a T5 whose decoder stops for a token as soon as it is confident, by a threshold that is calibrated",
  formula: "stop after n when p₁ − p₂ ≥ λ_t, λ_t = 0.9·λ + 0.1·exp(−τ·t/T); L = Σ_n n·L_n / N",
  cost: `${fullCost}; in decoding, of layers that are left out only keys and values`,
  category: "encoder-decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      decoderLayers: decoderLayersOption("as many as layers, 2 at least"),
      ffnWidth: ffnWidthOption(),
      confidence: z
        .enum(["softmax", "saturation", "classifier"])
        .default("softmax")
        .describe("lead of the most likely token, how little a layer changed, or a trained classifier"),
      threshold: z
        .number()
        .min(-1)
        .max(2)
        .default(0.9)
        .describe("confidence from which a token leaves; above 1 none does, unless it falls"),
      temperature: z
        .number()
        .positive()
        .optional()
        .describe("how fast the threshold falls along a target, 4 in the paper. Default: it does not"),
      length: positionCount().default(128).describe("tokens of the longest target, by which the threshold falls"),
      leastLayers: passCount().default(1).describe("layers that every token goes through"),
    }),
  make: ({ temperature, length = 128, ...settings }) =>
    calm({ ...present(settings), ...(temperature !== undefined && { decay: { temperature, length } }) }),
});
