import * as z from "zod";
import type { StackParams } from "../../depth/layers.ts";
import { relu } from "../../nn/feed-forward.ts";
import { requireSizes } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import { type DecoderParts, decoder } from "../decoder.ts";
import { type GptBlockParams, type GptOptions, type GptParams, gptParts } from "../decoders/gpt.ts";
import {
  type DecoderEntry,
  ffnWidthOption,
  fullCost,
  initializerRangeOption,
  modelEntry,
  type StackSettings,
  stackOptions,
} from "../model-entry.ts";
import { type DecisionModel, type DecisionOptions, type DecisionParams, decisionModel } from "./decision-model.ts";

export type DecisionTransformerOptions = DecisionOptions & {
  readonly layers: number;
  readonly modelWidth: number;
  readonly heads: number;
  /** Default: 4 × modelWidth. */
  readonly ffnWidth?: number;
  /** Default: 0. The paper's is 0.1. */
  readonly dropoutRate?: number;
};

/**
 * The Decision Transformer: {@link decisionModel} with the body of GPT-2, without positions and with ReLU. Asked for a return, it does what led to such a
 * return in the episodes that it has learned from.
 *
 * @source Chen et al. 2021, "Decision Transformer: Reinforcement Learning via Sequence Modeling", arXiv:2106.01345
 */
export function decisionTransformer(options: DecisionTransformerOptions): DecisionModel<DecisionParams<GptParams>> {
  const { body } = decoder(decisionTransformerParts({ ...options, vocabularySize: 1 }));
  return decisionModel("decision-transformer", body, options) as DecisionModel<DecisionParams<GptParams>>;
}

/** The parts of its body. */
export function decisionTransformerParts(
  options: Omit<GptOptions<unknown>, "length" | "scheme" | "activation">,
): DecoderParts<StackParams<GptBlockParams<unknown>>> {
  const { vocabularySize, layers } = options;
  requireSizes("decision-transformer", options, { vocabularySize, layers });
  return { ...gptParts({ ...options, length: 1, scheme: {}, activation: relu }), name: "decision-transformer" };
}

export type DecisionTransformerSettings = StackSettings & {
  readonly ffnWidth?: number;
  readonly initializerRange?: number;
};

export const decisionTransformerEntry: DecoderEntry<"decision-transformer", DecisionTransformerSettings> =
  /* @__PURE__ */ modelEntry({
    name: "decision-transformer",
    title: "Decision Transformer",
    year: 2021,
    paper: "Chen et al. 2021, Decision Transformer: Reinforcement Learning via Sequence Modeling, arXiv:2106.01345",
    summary: "does what led to the return that it is asked for; reads episodes (--task trajectories)",
    formula: "tokens norm(W_R R̂_t + e_t), norm(W_s s_t + e_t), norm(W_a a_t + e_t); a_t from the output at s_t",
    cost: `${fullCost}, n = 3 tokens a step`,
    parts: ["mixer", "pattern", "depth"],
    category: "decoder",
    options: () =>
      z.strictObject({
        ...stackOptions(),
        ffnWidth: ffnWidthOption(),
        initializerRange: initializerRangeOption(),
      }),
    make: (settings, parts) => decoder(decisionTransformerParts({ ...present(settings), ...parts })),
  });
