import {
  argmax,
  type Compiled,
  type Concrete,
  cast,
  compile,
  type Device,
  equal,
  type Given,
  mul,
  readTree,
  sum,
  type Tensor,
} from "@tsformers/engine";
import { evaluation } from "../kinds/layer.ts";
import type { SequenceToSequence } from "../models/sequence-to-sequence.ts";
import type { Symbolic } from "../objectives/objective.ts";
import type { PairBatch } from "../tasks/task.ts";

/** How deep a model went, and what came of it. */
export type DepthScore = {
  /** Share of the scored tokens that are right. */
  readonly accuracy: number;
  /** Layers of the decoder that a scored token went through, in the mean. */
  readonly meanLayers: number;
  /** Scored tokens. */
  readonly tokens: number;
};

/**
 * Scores an encoder-decoder whose tokens leave early: quality against mean depth, target tokens being given. Where a model has no exits, every token
 * goes through all layers.
 */
export async function evaluateDepth<Params>(
  model: SequenceToSequence<Params>,
  params: Given<Params>,
  batches: Iterable<PairBatch>,
  device: Device,
): Promise<DepthScore> {
  const score = (params: Params, batch: Symbolic<PairBatch>) => {
    const encoded = model.encode(params, { tokens: batch.source, mask: batch.sourceWeights }, evaluation);
    const { logits, steps } = model.decode(params, { tokens: batch.inputs, encoded }, evaluation);
    const over = (values: Tensor): Tensor => sum(mul(values, batch.weights));
    return {
      tokens: sum(batch.weights),
      correct: over(cast(equal(argmax(logits), batch.targets), "float32")),
      layers: steps === undefined ? mul(sum(batch.weights), model.layers.length) : over(steps),
    };
  };
  const run = compile(score, { device }) as unknown as Compiled<[Params, PairBatch], ReturnType<typeof score>>;
  const sums = { tokens: 0, correct: 0, layers: 0 };
  try {
    for (const batch of batches) {
      const read = (await readTree(await run(params, batch as Given<PairBatch>))) as Concrete<ReturnType<typeof score>>;
      for (const name of ["tokens", "correct", "layers"] as const) sums[name] += read[name].item();
    }
  } finally {
    await run.release();
  }
  if (sums.tokens === 0) throw new RangeError("evaluateDepth: no token of these batches is scored");
  return { accuracy: sums.correct / sums.tokens, meanLayers: sums.layers / sums.tokens, tokens: sums.tokens };
}
