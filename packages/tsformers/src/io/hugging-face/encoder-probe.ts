import { add } from "@tsformers/engine";
import type { LanguageModel } from "../../models/language-model.ts";
import { meanCrossEntropy } from "../../nn/cross-entropy.ts";
import { present } from "../../schema/present.ts";
import { numbered, weightsOf } from "./decoder-probe.ts";
import { labelInput, maskInput, type Probe, positionInput, tokenInput } from "./format.ts";

/** A forward pass of an encoder with transformers' names: masked tokens, and the next sentence if the model has that task. */
export function maskedLanguageModelProbe<Params>(model: LanguageModel<Params>, types: number): Probe {
  return {
    inputs: {
      input_ids: tokenInput(model.vocabularySize),
      attention_mask: maskInput,
      token_type_ids: tokenInput(types),
      position_ids: positionInput,
      labels: labelInput(model.vocabularySize),
      next_sentence_label: labelInput(2),
    },
    run: (params, inputs, context) => {
      const { input_ids: tokens, attention_mask: mask, token_type_ids, position_ids: positions, labels } = inputs;
      if (tokens === undefined) throw new Error("expected input_ids [B, T]");
      const input = { tokens, ...present({ mask, types: token_type_ids, positions }) };
      const out = model.apply(params as Params, input, context);
      const masked = labels && meanCrossEntropy(out.logits, labels);
      const order = inputs.next_sentence_label;
      const next = order && out.nextSentence && meanCrossEntropy(out.nextSentence, order);
      return {
        logits: out.logits,
        prediction_logits: out.logits,
        ...numbered("hidden_", out.hidden),
        hidden_last: out.hidden.at(-1)!,
        ...numbered("attn", weightsOf(out.maps)),
        ...present({ pooler_output: out.pooled, seq_relationship_logits: out.nextSentence }),
        ...(masked !== undefined && { loss: next === undefined ? masked : add(masked, next) }),
      };
    },
  };
}
