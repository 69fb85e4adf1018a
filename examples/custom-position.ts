// Invent a position scheme: logits fall with the logarithm of the distance, at a learned slope for each head.
import assert from "node:assert/strict";
import {
  abs,
  add,
  cast,
  constant,
  evaluate,
  exp,
  expandDims,
  log,
  mul,
  type NDArray,
  ndarray,
  neg,
  randomKey,
  reshape,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { openDevice } from "@tsformers/engine/node";
import { adamw, constantRate, createTask, evaluation, gpt, tokenObjective, train } from "tsformers";
import type { PositionScheme, ScoreMod } from "tsformers/kinds";

/**
 * `logits[b,h,t,s] −= exp(slope[h]) · log(1 + |t − s|)`
 *
 * @source the logarithmic kernel of Chi et al. 2022, "KERPLE", arXiv:2205.09921
 */
function logarithmicBias(heads: number): ScoreMod<{ slope: Tensor }> {
  return {
    init: () => ({ slope: ndarray(Array.from({ length: heads }, (_, h) => 1 - h)) }),
    prepare: ({ slope }, { query, key }) => {
      const distance = abs(sub(expandDims(cast(query, "float32"), -1), expandDims(cast(key, "float32"), -2)));
      const bias = mul(neg(reshape(exp(slope), [heads, 1, 1])), log(add(distance, constant(ndarray([1])))));
      return { logits: (logits) => add(logits, bias) };
    },
  };
}

const sizes = { layers: 2, modelWidth: 32, heads: 4, length: 16 };
const task = await createTask("text", { length: 16 });
const device = await openDevice("cpu");

/** Trains a small GPT with a scheme. @returns its loss on the valid split, and the parameters */
async function trained(scheme: PositionScheme) {
  const model = gpt({ ...sizes, vocabularySize: task.vocabularySize, scheme });
  const result = await train({
    objective: tokenObjective(model),
    task,
    view: task.views.next!,
    optimiser: adamw(),
    schedule: constantRate(5e-3),
    steps: 120,
    batchSize: 16,
    length: 16,
    evalTokens: 2048,
    clipNorm: 1,
    device,
  });
  const { lossSum, tokens } = result.evaluation!.totals;
  return { model, params: result.params, loss: lossSum / tokens };
}

const blind = await trained({});
const ours = await trained({ scores: logarithmicBias(sizes.heads) });
console.log(`valid loss: no positions ${blind.loss.toFixed(3)}, logarithmic bias ${ours.loss.toFixed(3)}`);
assert(ours.loss < blind.loss - 0.05, "expected positions to help");

// The slopes are parameters like any other: training moved them.
const { slope } = (ours.params as { scores?: { slope: NDArray } }).scores!;
const before = logarithmicBias(sizes.heads).init(randomKey(0)).slope;
assert(slope.toNumbers().some((x, h) => Math.abs(x - before.toNumbers()[h]!) > 0.01));

// Whatever the bias, the model is causal: another last token changes nothing before it.
const logits = (ids: number[]) => {
  const forward = (params: never, tokens: Tensor) => ours.model.apply(params, { tokens }, evaluation).logits;
  return evaluate(
    forward,
    device,
    ours.params as never,
    ndarray(Int32Array.from(ids), [1, ids.length], "int32") as never,
  );
};
const [a, b] = [(await logits([1, 2, 3, 4])) as unknown as NDArray, (await logits([1, 2, 3, 9])) as unknown as NDArray];
const known = 3 * task.vocabularySize;
assert.deepEqual(a.toNumbers().slice(0, known), b.toNumbers().slice(0, known));
assert.notDeepEqual(a.toNumbers().slice(known), b.toNumbers().slice(known));

await device.close();
