import {
  argmax,
  cast,
  constant,
  cumsum,
  div,
  exp,
  fromNumbers,
  gather,
  less,
  lessEqual,
  minimum,
  mul,
  sub,
  sum,
  type Tensor,
  topK,
  where,
} from "@tsformers/engine";
import type { SamplingOptions } from "./sampling.ts";

/** What of the sampling options shapes the program; the rest are its inputs. */
export type DrawForm = {
  readonly isGreedy: boolean;
  /** How many of the most likely tokens can be drawn. */
  readonly likeliest: number;
  readonly isCut: boolean;
  readonly forbiddenTokens: readonly number[];
};

/** float32 scalars, and a uniform number for each token that is drawn. */
export type DrawInputs<Leaf = Tensor> = { readonly temperature: Leaf; readonly topP: Leaf; readonly uniforms: Leaf };

/** @param vocabulary V, the number of logits */
export function drawForm(options: SamplingOptions, vocabulary: number): DrawForm {
  const { temperature = 1, topK = vocabulary, topP = 1, forbiddenTokens = [] } = options;
  const isGreedy = temperature === 0 || topK === 1;
  return { isGreedy, likeliest: Math.min(topK, vocabulary), isCut: topP < 1, forbiddenTokens };
}

/**
 * The token that `draw` of sampling.ts takes, in float32: where two sums are closer than its precision it may be another one.
 *
 * @param logits [V]
 * @returns int32 scalar
 */
export function drawInGraph(
  logits: Tensor,
  { isGreedy, likeliest, isCut, forbiddenTokens }: DrawForm,
  { temperature, topP, uniform }: Omit<DrawInputs, "uniforms"> & { readonly uniform: Tensor },
): Tensor {
  const vocabulary = logits.shape[0]!;
  const isForbidden = Uint8Array.from({ length: vocabulary }, (_, token) => (forbiddenTokens.includes(token) ? 1 : 0));
  const forbidden = constant(fromNumbers(isForbidden, [vocabulary], "bool"));
  const open = forbiddenTokens.length === 0 ? logits : where(forbidden, Number.NEGATIVE_INFINITY, logits);
  if (isGreedy) return argmax(open);
  const { values, indices } = topK(open, likeliest);
  const weights = exp(div(sub(values, gather(values, constant(0, "int32"))), temperature));
  const before = cumsum(weights, 0, { exclusive: true });
  const taken = isCut ? where(less(before, mul(topP, sum(weights))), weights, 0) : weights;
  const passed = lessEqual(cumsum(taken, 0), mul(uniform, sum(taken)));
  const rank = minimum(sum(cast(passed, "int32")), likeliest - 1);
  return gather(indices, rank);
}
