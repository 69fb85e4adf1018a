import { cast, equal, mul, neg, stack, stopGradient } from "@tsformers/engine";
import * as z from "zod";
import {
  type AdaptiveParams,
  adaptiveDepth,
  type ExitRule,
  requireExits,
} from "../../depth/adaptive/adaptive-depth.ts";
import { type ExitClassifier, geometricExits, multinomialExits } from "../../depth/adaptive/exit-classifiers.ts";
import { earlierExitLoss, exitCrossEntropy, exitWeights, meanOver } from "../../depth/adaptive/exit-losses.ts";
import { correctness, exitWorth, oracleExits } from "../../depth/adaptive/exit-oracles.ts";
import { confident, largestProbability, logitsAt } from "../../depth/adaptive/exit-rules.ts";
import { crossEntropies } from "../../nn/cross-entropy.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { passCount } from "../../schema/count.ts";
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
import { type TransformerOptions, transformerParts } from "./transformer.ts";

export type DepthAdaptiveOptions = {
  /**
   * What says where a position leaves the decoder: a classifier that foretells it after the first layer, one that is asked after each layer, or
   * the probability of the most likely token. Default: geometric.
   */
  readonly exit?: "multinomial" | "geometric" | "confidence";
  /** Probability from which a position leaves, one for each layer but the last, or for all. Default: 0.5; of `confidence`: 0.9. */
  readonly threshold?: number | readonly number[];
  /** Layers that every position goes through; with all of them, none leaves. Default: 1. */
  readonly leastLayers?: number;
  /** Whether every exit predicts every token, or one that is drawn for each, the states above being copies. Default: aligned. */
  readonly training?: "aligned" | "mixed";
  /** By what an exit is judged in the classifier's targets: log p(target), or whether the token is right. Default: likelihood. */
  readonly oracle?: "likelihood" | "correctness";
  /** σ of the targets, how far the neighbours of a token count. Default: 0, not at all. */
  readonly oracleSmoothing?: number;
  /** λ of the targets, what a layer costs. Default: 0.1. */
  readonly layerCost?: number;
  /** α, weight of the classifier's loss. Default: 0.1. */
  readonly exitLossWeight?: number;
};

export type DepthAdaptiveTransformerOptions = Omit<TransformerOptions, "decoderLayers"> &
  DepthAdaptiveOptions & {
    /** 2 at least. Default: `layers`, or 2. */
    readonly decoderLayers?: number;
  };

/**
 * Depth-Adaptive Transformer: an encoder-decoder whose target tokens leave the decoder when it has done enough for them.
 *
 * Aligned training adds the losses of all exits, `exits = Σ_{n<N} L_n`; in mixed training each token leaves after a layer that is drawn. The
 * classifier learns the exit that is worth most, `exit = α·CE(argmax_n (LL^n − λ·n), q)`. All exits share the head.
 *
 * @source Elbayad et al. 2020, "Depth-Adaptive Transformer", arXiv:1910.10073
 * @differs the losses of exits are added up, not averaged, which Adam does not tell apart; gradients of exits are not scaled (γ); in mixed training
 *   one path is drawn, and the classifier learns from tokens that went through all layers
 * @throws TypeError for a threshold of `multinomial`, which has none
 */
export function depthAdaptiveTransformer(
  options: DepthAdaptiveTransformerOptions,
): SequenceToSequence<EncoderDecoderParams> {
  const { layers, decoderLayers = Math.max(layers, 2), modelWidth } = options;
  const { training = "aligned", oracle = "likelihood", oracleSmoothing = 0, layerCost = 0.1 } = options;
  const { exitLossWeight = 0.1, leastLayers = 1 } = options;
  requireSizes("depth-adaptive-transformer", options, { vocabularySize: options.vocabularySize, layers });
  requireExits("depth-adaptive-transformer: decoder", { layers: decoderLayers, leastLayers });
  const { rule, classifier } = exitOf(options, modelWidth, decoderLayers);
  const samplesExits = training === "mixed";
  const omega = exitWeights(decoderLayers, "uniform");
  const decoderDepth: DecoderDepth = (blocks, rest) =>
    adaptiveDepth(blocks, { ...rest, rule, leastLayers, samplesExits });
  const name = "depth-adaptive-transformer";
  const parts = { ...transformerParts({ ...options, decoderLayers }), name, decoderDepth };
  return {
    ...encoderDecoder(parts),
    trainingLosses: (params, output, { targets, weights }) => {
      const logits = exitLogits(parts, params, output);
      const losses = logits.map((own) => crossEntropies(own, targets));
      const exits = training === "aligned" && { exits: earlierExitLoss(losses.slice(0, -1), weights, omega) };
      if (classifier === undefined) return { ...exits };
      const score = (layer: number) =>
        oracle === "likelihood" ? neg(losses[layer]!) : correctness(logits[layer]!, targets);
      const scores = stack(logits.map((_, layer) => mul(stopGradient(score(layer)), weights)));
      const best = oracleExits(exitWorth(scores, { smoothing: oracleSmoothing, layerCost }));
      const { exit } = params.decoder as AdaptiveParams;
      const errors = exitCrossEntropy(classifier.logDistribution(exit, output.hidden.slice(1)), best);
      // Of tokens that left early there is no telling what the layers above would have said.
      const whole = mul(weights, cast(equal(output.steps!, decoderLayers), "float32"));
      return { ...exits, exit: mul(meanOver(errors, whole), exitLossWeight) };
    },
  };
}

/** What a position is asked after each layer, and the classifier that training teaches, where there is one. */
function exitOf(
  { exit = "geometric", threshold }: DepthAdaptiveOptions,
  modelWidth: number,
  layers: number,
): { readonly rule: ExitRule; readonly classifier?: ExitClassifier } {
  const given = typeof threshold === "object" ? threshold.length : undefined;
  if (given !== undefined && given !== layers - 1)
    throw new RangeError(
      `depth-adaptive-transformer: expected a threshold for each of ${layers - 1} layers but the last, got ${given}`,
    );
  if (exit === "confidence") return { rule: confident((at) => largestProbability(logitsAt(at)), threshold ?? 0.9) };
  if (exit === "geometric") {
    const classifier = geometricExits(modelWidth, layers, threshold);
    return { rule: classifier, classifier };
  }
  if (threshold !== undefined)
    throw new TypeError(
      "depth-adaptive-transformer: multinomial exits take the most likely layer; leave threshold away",
    );
  const classifier = multinomialExits(modelWidth, layers);
  return { rule: classifier, classifier };
}

export type DepthAdaptiveTransformerSettings = StackSettings & {
  readonly decoderLayers?: number;
  readonly ffnWidth?: number;
  readonly exit?: "multinomial" | "geometric" | "confidence";
  readonly threshold?: number;
  readonly leastLayers?: number;
  readonly training?: "aligned" | "mixed";
  readonly oracle?: "likelihood" | "correctness";
  readonly oracleSmoothing?: number;
  readonly layerCost?: number;
  readonly exitLossWeight?: number;
};

export const depthAdaptiveTransformerEntry: EncoderDecoderEntry<
  "depth-adaptive-transformer",
  DepthAdaptiveTransformerSettings
> = /* @__PURE__ */ modelEntry({
  name: "depth-adaptive-transformer",
  title: "Depth-Adaptive Transformer",
  year: 2020,
  paper: "Elbayad et al. 2020, Depth-Adaptive Transformer, arXiv:1910.10073",
  summary: "an encoder-decoder whose tokens leave the decoder when a classifier says that they are done",
  formula:
    "leave after n when σ(w_n·h_n + b_n) ≥ τ; L = Σ_n −log p_n(target) + α·CE(argmax_n (log p_n(target) − λ·n), q)",
  cost: `${fullCost}; in decoding, of layers that are left out only keys and values`,
  category: "encoder-decoder",
  options: () =>
    z.strictObject({
      ...stackOptions(),
      decoderLayers: decoderLayersOption("as many as layers, 2 at least"),
      ffnWidth: ffnWidthOption(),
      exit: z
        .enum(["multinomial", "geometric", "confidence"])
        .default("geometric")
        .describe("what says where a token leaves"),
      threshold: z
        .number()
        .min(0)
        .max(2)
        .optional()
        .describe("probability from which a token leaves; above 1 none does. Default: 0.5, of confidence 0.9"),
      leastLayers: passCount().default(1).describe("layers that every token goes through"),
      training: z
        .enum(["aligned", "mixed"])
        .default("aligned")
        .describe("whether every exit predicts every token, or one that is drawn for each"),
      oracle: z
        .enum(["likelihood", "correctness"])
        .default("likelihood")
        .describe("by what the classifier's targets judge an exit"),
      oracleSmoothing: z
        .number()
        .nonnegative()
        .default(0)
        .describe("how far the neighbours of a token count in targets"),
      layerCost: z.number().nonnegative().default(0.1).describe("what a layer costs in targets"),
      exitLossWeight: z.number().nonnegative().default(0.1).describe("weight of the classifier's loss"),
    }),
  make: (settings) => depthAdaptiveTransformer(present(settings)),
});
