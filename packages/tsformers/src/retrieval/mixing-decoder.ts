import type { Decoder } from "../generate/decoding.ts";
import { requireShare } from "./mixture.ts";
import type { MixtureChoice } from "./score.ts";
import type { NeighbourSearch } from "./search.ts";

/**
 * A decoder whose tokens come from the mixture `(1 − λ)·p_LM + λ·p_kNN` of a model and a datastore. What it reads as logits are the logarithms
 * of these probabilities, so that temperatures and cuts work on the mixture.
 *
 * @param decoder one that tells what goes into the last feed-forward network
 * @param mixture τ is 1
 * @source Khandelwal et al. 2020, "Generalization through Memorization: Nearest Neighbor Language Models", §2, arXiv:1911.00172
 * @throws RangeError when λ is not between 0 and 1; when a token is read, for more neighbours than entries
 */
export function mixingDecoder(
  decoder: Decoder,
  search: NeighbourSearch,
  { lambda, neighbours }: MixtureChoice,
): Decoder {
  requireShare(lambda);
  return {
    maxLength: decoder.maxLength,
    get length() {
      return decoder.length;
    },
    read: async (tokens) => {
      const logits = await decoder.read(tokens);
      const { ffnInput } = decoder;
      if (ffnInput === undefined) throw new TypeError("mixingDecoder: this decoder does not tell what is searched for");
      const { squaredDistances, values } = await search.search(ffnInput, neighbours);
      const mixed = softmaxOf(logits, 1 - lambda);
      softmaxOf(
        squaredDistances.map((distance) => -distance),
        lambda,
      ).forEach((share, i) => {
        mixed[values[i]!]! += share;
      });
      return Float32Array.from(mixed, Math.log);
    },
    restart: () => decoder.restart(),
    release: () => decoder.release(),
  };
}

/** `total · softmax(logits)` */
function softmaxOf(logits: Float32Array, total: number): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => (total * weight) / sum);
}
