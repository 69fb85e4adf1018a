import { expandDims, gather, mul, neg, reshape, sub, sum, takeAlongAxis, topK } from "@tsformers/engine";
import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import {
  logOrAbsent,
  mixedLogProbabilities,
  neighbourLogProbabilities,
  neighbourProbabilities,
} from "../../retrieval/mixture.ts";

const options = z.strictObject({
  k: z.int().positive(),
  lambda: z.number().gt(0).lt(1),
  temperature: z.number().positive(),
});

/** The mixture of kNN-LM: queries [N, C], keys [M, C] with values [M], the model's log-probabilities [N, V], targets [N]. */
export const knnLm: Mechanism = {
  run({ queries, keys, values, lm_log_probs, targets }, given) {
    const { k, lambda, temperature } = options.parse(given);
    const differences = sub(expandDims(queries!, 1), expandDims(keys!, 0));
    const { values: nearest, indices } = topK(neg(sum(mul(differences, differences), { axes: -1 })), k);
    const neighbours = { squaredDistances: neg(nearest), values: gather(values!, indices) };
    const vocabularySize = lm_log_probs!.shape[1]!;
    const probabilities = neighbourProbabilities(neighbours, { vocabularySize, temperature });
    return {
      out: mixedLogProbabilities(lm_log_probs!, logOrAbsent(probabilities), lambda),
      neighbours: indices,
      squared_distances: neighbours.squaredDistances,
      p_knn: probabilities,
      target_log_prob: mixedLogProbabilities(
        reshape(takeAlongAxis(lm_log_probs!, expandDims(targets!, -1), 1), targets!.shape),
        neighbourLogProbabilities(neighbours, targets!, temperature),
        lambda,
      ),
    };
  },
};
