import { type Bench, compareRow, least, median, type Row } from "./bench.ts";
import { measureInTurn, measureOnce, type Side } from "./child.ts";
import { browserSide, ourBrowserSide, ourSide, pytorchSide } from "./sides.ts";
import { gptStepGflop, largeGpt, longGpt, parameterCount, smallGpt, type Workload } from "./workload.ts";

/** What a child of this bench prints. Browser peers leave the memory out: a page cannot tell its own. */
export type StepResult = {
  /** Milliseconds of each timed step: forward, backward, clipping, AdamW, loss read back. */
  readonly stepMs: readonly number[];
  /** Most memory ever resident in the process (VmHWM). */
  readonly peakBytes?: number;
  /** Memory resident (VmRSS) with the runtime loaded and before the model is built. */
  readonly baselineBytes?: number;
  /** Loss at every step, those of the warm-up included. */
  readonly loss: readonly number[];
  readonly parameters: number;
};

/** What the child `micro-batches` prints: the fastest number of parts, and the time of a step by the number of parts. */
export type CutResult = { readonly microBatches: number; readonly times: readonly (readonly [number, number])[] };

type Case = { readonly name: string; readonly workload: Workload; readonly peers: readonly Side[] };

/** TensorFlow.js did not finish one step of 16 rows within three minutes, so it and ours are compared at 4. */
const fourRows: Workload = { ...smallGpt, batch: 4, steps: 8, warmup: 4, stepsPerRun: 4 };
const sixteenRows: Workload = { ...smallGpt, steps: 4, warmup: 1 };

function cases(): Case[] {
  return [
    { name: "gpt-step small 16×256", workload: smallGpt, peers: [pytorchSide("gpt_step.py", smallGpt)] },
    { name: "gpt-step large 8×512", workload: largeGpt, peers: [pytorchSide("gpt_step.py", largeGpt)] },
    { name: "gpt-step long 1×4096", workload: longGpt, peers: [pytorchSide("gpt_step.py", longGpt)] },
    {
      name: "gpt-step small 16×256",
      workload: sixteenRows,
      peers: [browserSide("jax-js wasm", "jax-js", "@jax-js/jax", sixteenRows)],
    },
    {
      name: "gpt-step small 4×256",
      workload: fourRows,
      peers: [
        browserSide("jax-js wasm", "jax-js", "@jax-js/jax", fourRows),
        browserSide("TensorFlow.js wasm", "tfjs", "@tensorflow/tfjs", fourRows),
      ],
    },
  ];
}

/** A training step of three sizes of GPT, against PyTorch, jax-js and TensorFlow.js; and in a browser against Node. */
export const gptStep: Bench = {
  name: "gpt-step",
  about: "GPT training step: time, and memory beside PyTorch",
  run: async ({ rounds }) => {
    const rows: Row[] = [];
    for (const { name, workload, peers } of cases()) {
      const sides = [ourSide("gpt-step", { ...workload, microBatches: await fastestParts(name, workload) }), ...peers];
      const [ours, ...theirs] = await measureInTurn(sides, rounds, (result, side) =>
        checkStep(result as StepResult, workload, side),
      );
      for (const [index, peer] of peers.entries()) {
        rows.push(...stepRows(name, workload, ours!, theirs[index]!, peer.name));
      }
    }
    const [inPage, inNode] = await measureInTurn(
      [ourBrowserSide(sixteenRows), ourSide("gpt-step", sixteenRows)],
      rounds,
      (result, side) => checkStep(result as StepResult, sixteenRows, side),
    );
    // Of the memory, a page cannot tell its own.
    const timesAlone = inNode!.map(({ peakBytes, baselineBytes, ...rest }) => rest);
    rows.push(...stepRows("gpt-step small 16×256 in Chromium, wasm", sixteenRows, inPage!, timesAlone, "ours in Node"));
    return rows;
  },
};

/** As many parts as a trial on this machine says, in a process of its own: so does `tsformers train` before a long run. */
async function fastestParts(name: string, workload: Workload): Promise<number> {
  const { microBatches, times } = (await measureOnce(ourSide("micro-batches", workload))) as CutResult;
  const said = times.map(([parts, time]) => `${parts}: ${time.toFixed(0)} ms`).join(", ");
  console.error(`  ${name}: a batch in ${microBatches} parts; a step by the number of parts took ${said}`);
  return microBatches;
}

/**
 * No figure is reported for a step that does not train: the model must have the size asked for, the loss must start
 * near ln V, as small random logits make it, and fall. (Not at each step: without warm-up it goes up and down.)
 */
export function checkStep(result: StepResult, workload: Workload, side: { readonly name: string }): StepResult {
  const expected = parameterCount(workload);
  if (result.parameters !== expected) {
    throw new Error(`${side.name}: expected a model of ${expected} parameters, got ${result.parameters}`);
  }
  const first = result.loss[0] ?? Number.NaN;
  const lowest = Math.min(...result.loss);
  const chance = Math.log(workload.vocabulary);
  if (!(Math.abs(first - chance) < 0.25)) {
    throw new Error(`${side.name}: expected a first loss near ln V = ${chance.toFixed(3)}, got ${first}`);
  }
  if (!(lowest < first - 0.1))
    throw new Error(`${side.name}: expected the loss to fall from ${first}, it fell to ${lowest}`);
  if (result.stepMs.length !== workload.steps) {
    throw new Error(`${side.name}: expected ${workload.steps} timed steps, got ${result.stepMs.length}`);
  }
  return result;
}

function stepRows(
  name: string,
  workload: Workload,
  ours: readonly StepResult[],
  peer: readonly StepResult[],
  peerName: string,
): Row[] {
  const row = (metric: string, unit: string, read: (result: StepResult) => number | null, pick = median): Row => {
    const over = (results: readonly StepResult[]): number | null => {
      const values = results.map(read).filter((value) => value !== null);
      return values.length === 0 ? null : pick(values);
    };
    return compareRow(name, metric, unit, "lower", over(ours), over(peer), peerName);
  };
  const rows = [
    row("step, median", "ms", (result) => median(result.stepMs)),
    { ...row("step, fastest", "ms", (result) => least(result.stepMs), least), gflop: gptStepGflop(workload) },
  ];
  if (!peer.some((result) => result.peakBytes !== undefined)) return rows;
  const megabytes = (value: number | undefined): number | null => (value === undefined ? null : value / 1e6);
  return [
    ...rows,
    row("peak memory above runtime", "MB", ({ peakBytes, baselineBytes }) =>
      megabytes(peakBytes === undefined || baselineBytes === undefined ? undefined : peakBytes - baselineBytes),
    ),
    row("peak memory, whole process", "MB", ({ peakBytes }) => megabytes(peakBytes)),
  ];
}
