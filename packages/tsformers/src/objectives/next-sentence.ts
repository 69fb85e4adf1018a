import { argmax, cast, equal, mul, sum } from "@tsformers/engine";
import { type Context, evaluation } from "../kinds/layer.ts";
import { type BertPreTrainingParams, withNextSentence } from "../models/encoders/bert.ts";
import type { LanguageModel } from "../models/language-model.ts";
import { crossEntropies, weightedMean } from "../nn/cross-entropy.ts";
import { sumOfLosses } from "../nn/losses.ts";
import type { SentencesBatch } from "../tasks/task.ts";
import { besideLoss, type Objective, type Symbolic } from "./objective.ts";
import { predictionTotals } from "./prediction-totals.ts";

/** A model's parameters with those of the pooler and of the head that tells whether sentences follow each other. */
export type NextSentenceParams<Params> = Params & Pick<BertPreTrainingParams, "pooler" | "nextSentence">;

/** A model with the pooler and the head of BERT's second task. */
export function nextSentenceModel<Params>(model: LanguageModel<Params>): LanguageModel<NextSentenceParams<Params>> {
  return withNextSentence(model as LanguageModel<never>, model.body.width) as LanguageModel<never>;
}

/**
 * BERT's pre-training: hidden tokens are predicted from both sides, and from the vector of the first position, through a dense layer and tanh,
 * whether the second part of a row follows the first. The loss is the mean of −log p(hidden token) and, added to it under the name
 * `next-sentence`, the mean of −log p(follows or not).
 *
 * In evaluation, the exact rows are those whose second question is answered rightly.
 *
 * @param options.smoothing label smoothing of tokens in training. Default: 0
 * @source Devlin et al. 2019, "BERT", §3.1, arXiv:1810.04805
 */
export function nextSentenceObjective<Params>(
  model: LanguageModel<Params>,
  options: { readonly smoothing?: number } = {},
): Objective<NextSentenceParams<Params>, SentencesBatch> {
  const whole = nextSentenceModel(model);
  const run = (params: NextSentenceParams<Params>, batch: Symbolic<SentencesBatch>, context: Context) => {
    const out = whole.apply(params, { tokens: batch.inputs, mask: batch.mask, types: batch.types }, context);
    return { out, follows: out.nextSentence! };
  };
  return {
    init: whole.init,
    loss: (params, batch, context) => {
      const { out, follows } = run(params, batch, context);
      const { targets, weights, labels, rowWeights } = batch;
      const own = whole.trainingLosses?.(params, out, { targets, weights }, context);
      const nextSentence = weightedMean(crossEntropies(follows, labels), rowWeights);
      const losses = sumOfLosses([out.losses, own, { "next-sentence": nextSentence }]);
      return {
        total: sum(mul(crossEntropies(out.logits, targets, options), weights)),
        weight: sum(weights),
        ...besideLoss({ ...out, losses }),
      };
    },
    totals: (params, batch) => {
      const { out, follows } = run(params, batch, evaluation);
      const right = cast(equal(cast(argmax(follows), "int32"), batch.labels), "float32");
      const { lossSum, tokens, correct } = predictionTotals(out.logits, batch.targets, batch.weights);
      const exactRows = sum(mul(right, batch.rowWeights));
      return { totals: { lossSum, tokens, correct: correct!, rows: sum(batch.rowWeights), exactRows } };
    },
  };
}
