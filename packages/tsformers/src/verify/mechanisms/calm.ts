import {
  add,
  argmax,
  cast,
  concat,
  constant,
  fromNumbers,
  greaterEqual,
  iota,
  mul,
  ones,
  reshape,
  sigmoid,
  slice,
  stack,
  sum,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import { exitWeights, weightedExitLoss } from "../../depth/adaptive/exit-losses.ts";
import {
  decayingThreshold,
  saturation,
  softmaxResponse,
  type ThresholdDecay,
} from "../../depth/adaptive/exit-rules.ts";
import { learnThenTest } from "../../depth/adaptive/learn-then-test.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const exiting = z.strictObject({
  measure: z.enum(["softmax", "state", "meta"]),
  decay: z.enum(["paper", "code"]),
  lambda: z.number(),
  tau: z.number(),
  N: z.int().positive(),
});
const testing = z.strictObject({ delta: z.number(), epsilon: z.number() });
const weighting = z.strictObject({ aggregation: z.union([z.literal(1), z.literal(0), z.literal(-1)]) });

const growths = { "1": "linear", "0": "uniform", "-1": "geometric" } as const;

/** CALM: confidences [N, T] and exits by a threshold that decays, Learn then Test, weights of the losses of exits. */
export const calm: Mechanism = {
  run(inputs, given, arrays) {
    if ("measure" in given) return exits(inputs, exiting.parse(given));
    if ("delta" in given) {
      const { delta, epsilon } = testing.parse(given);
      return tested(arrays.losses!.toNumbers(), arrays.lambdas!.toNumbers(), { risk: delta, error: epsilon });
    }
    const { aggregation } = weighting.parse(given);
    const weights = exitWeights(inputs.layer_losses!.shape[0]!, growths[`${aggregation}`]);
    return { weights: row(weights), out: weightedExitLoss(inputs.layer_losses!, weights) };
  },
};

type Inputs = Readonly<Record<string, Tensor>>;

function exits(
  { logits, hidden, w_meta, b_meta }: Inputs,
  { measure, decay, lambda, tau, N }: z.output<typeof exiting>,
) {
  const [layers, length] = logits!.shape as [number, number, number];
  const state = (layer: number) => reshape(slice(hidden!, 0, layer, layer + 1), hidden!.shape.slice(1));
  const confidence = {
    softmax: () => softmaxResponse(logits!),
    state: () => stack(Array.from({ length: layers }, (_, i) => saturation(state(i), state(i + 1)))),
    meta: () => sigmoid(add(sum(mul(slice(hidden!, 0, 1, layers + 1), w_meta!), { axes: -1 }), b_meta!)),
  }[measure]();
  const scaled: ThresholdDecay = { temperature: tau, length: N, ...(decay === "code" && { scaled: true }) };
  const thresholds = decayingThreshold(lambda, scaled)(iota(length));
  const leaves = cast(greaterEqual(slice(confidence, 0, 0, layers - 1), thresholds), "float32");
  // Whoever is never confident leaves behind the last layer; the first of equal values counts.
  return { out: confidence, thresholds, exit_layer: argmax(concat([leaves, ones([1, length])], 0), 0) };
}

function tested(losses: readonly number[], lambdas: readonly number[], bound: { risk: number; error: number }) {
  const width = lambdas.length;
  const rows = Array.from({ length: losses.length / width }, (_, i) => losses.slice(i * width, (i + 1) * width));
  const { selected, risks, pValues } = learnThenTest(rows, bound);
  return {
    out: row(pValues),
    risk: row(risks),
    selected: constant(fromNumbers([selected], [1], "int32")),
    selected_lambda: row(lambdas.slice(selected, selected + 1)),
  };
}

function row(values: readonly number[]): Tensor {
  return constant(fromNumbers(values, [values.length]));
}
