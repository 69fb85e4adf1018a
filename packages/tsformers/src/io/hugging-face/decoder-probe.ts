import { slice, type Tensor } from "@tsformers/engine";
import type { AttentionMap } from "../../kinds/index.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { present } from "../../schema/present.ts";
import { labelInput, maskInput, type NamedTensors, type Probe, positionInput, tokenInput } from "./format.ts";

/**
 * A forward pass of a decoder with transformers' names; the loss is that of the next token, with labels shifted inside.
 *
 * @param full the layer whose attention map is `attn_full`, where the others have none
 */
export function languageModelProbe<Params>(model: LanguageModel<Params>, full?: number): Probe {
  return {
    inputs: {
      input_ids: tokenInput(model.vocabularySize),
      attention_mask: maskInput,
      position_ids: positionInput,
      token_type_ids: tokenInput(model.vocabularySize),
      labels: labelInput(model.vocabularySize),
    },
    run: (params, inputs, context) => {
      const {
        input_ids: tokens,
        attention_mask: mask,
        position_ids: positions,
        token_type_ids: types,
        labels,
      } = inputs;
      if (tokens === undefined) throw new Error("expected input_ids [B, T]");
      const out = model.apply(params as Params, { tokens, ...present({ mask, positions, types }) }, context);
      return {
        logits: out.logits,
        ...numbered("hidden_", out.hidden),
        hidden_last: out.hidden.at(-1)!,
        ...numbered("attn", weightsOf(out.maps)),
        ...(full !== undefined && { attn_full: weightsOf([out.maps[full]!])[0]! }),
        ...(labels !== undefined && { loss: nextTokenLoss(out.logits, labels) }),
      };
    },
  };
}

/** Mean cross-entropy of each position's logits against the label of the next. */
export function nextTokenLoss(logits: Tensor, labels: Tensor): Tensor {
  return meanCrossEntropy(slice(logits, 1, 0, -1), slice(labels, 1, 1));
}

/** The attention weights of each layer. */
export function weightsOf(maps: readonly (() => AttentionMap)[]): Tensor[] {
  return maps.map((map) => map().weights);
}

/** `prefix0`, `prefix1`, … */
export function numbered(prefix: string, tensors: readonly Tensor[]): NamedTensors {
  return Object.fromEntries(tensors.map((tensor, i) => [`${prefix}${i}`, tensor]));
}
