import {
  broadcastTo,
  exp,
  expandDims,
  mean,
  neg,
  reshape,
  slice,
  sum,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import * as z from "zod";
import { geometricExits, multinomialExits } from "../../depth/adaptive/exit-classifiers.ts";
import { exitCrossEntropy, weightedExitLoss } from "../../depth/adaptive/exit-losses.ts";
import {
  correctness,
  exitWorth,
  likelihood,
  oracleExitOfRows,
  oracleExits,
} from "../../depth/adaptive/exit-oracles.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const options = z.union([
  z.strictObject({ oracle: z.enum(["likelihood", "correctness"]), sigma: z.number().min(0), lambda: z.number() }),
  z.strictObject({ classifier: z.enum(["multinomial", "geometric"]) }),
  z.strictObject({}),
]);

/** Depth-Adaptive Transformer: logits [N, T, V] of all exits, their oracles, the two classifiers, and the aligned loss. */
export const depthAdaptive: Mechanism = {
  run(inputs, given) {
    const chosen = options.parse(given);
    if ("classifier" in chosen) return classified(inputs, chosen.classifier);
    const logits = inputs.logits!;
    const targets = broadcastTo(inputs.targets!, logits.shape.slice(0, -1));
    const likelihoods = likelihood(logits, targets);
    if (!("oracle" in chosen)) return { out: weightedExitLoss(neg(sum(likelihoods, { axes: -1 })), inputs.omega!) };
    const { sigma: smoothing, lambda: layerCost } = chosen;
    const correct = correctness(logits, targets);
    const scores = chosen.oracle === "likelihood" ? likelihoods : correct;
    const worth = exitWorth(scores, { smoothing, layerCost });
    return {
      out: worth,
      correct,
      log_likelihood: likelihoods,
      oracle_exit: oracleExits(worth),
      sequence_oracle_exit: reshape(oracleExitOfRows(scores, { layerCost }), [1]),
    };
  },
};

/** Distributions over exits and their cross-entropy; the fixture has weights of each exit in a row, and no batch. */
function classified(inputs: Readonly<Record<string, Tensor>>, kind: "multinomial" | "geometric") {
  const exits = expandDims(inputs.target_exit!, 0);
  const log = kind === "multinomial" ? foretold(inputs) : afterEach(inputs);
  return {
    out: reshape(exp(log), log.shape.slice(1)),
    cross_entropy: mean(exitCrossEntropy(log, exits)),
  };
}

function foretold({ h1, W, b }: Readonly<Record<string, Tensor>>): Tensor {
  const [layers, width] = W!.shape as [number, number];
  return multinomialExits(width, layers).logDistribution({ weight: transpose(W!, [1, 0]), bias: b! }, [
    expandDims(h1!, 0),
  ]);
}

function afterEach({ h, w, b }: Readonly<Record<string, Tensor>>): Tensor {
  const [exits, width] = w!.shape as [number, number];
  const states = Array.from({ length: exits }, (_, i) => slice(h!, 0, i, i + 1));
  // The last layer has no classifier: its state is not read.
  return geometricExits(width, exits + 1).logDistribution({ weight: w!, bias: b! }, [...states, states[0]!]);
}
