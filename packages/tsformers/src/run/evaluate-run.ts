import { type Device, type Given, putTree } from "@tsformers/engine";
import { type EvalTotals, loss } from "../tasks/metric.ts";
import type { EvalSplit } from "../tasks/task.ts";
import { type Evaluator, evaluator } from "../train/evaluate.ts";
import { ConfigError } from "./config-error.ts";
import type { AnyBatch, Reading } from "./prepare.ts";

export type LengthsOptions = {
  readonly split: EvalSplit;
  readonly lengths: readonly number[];
  /** Tokens of a batch; longer rows form smaller batches, so that memory stays the same. */
  readonly batchTokens: number;
  /** Tokens scored at each length. Default: the task's own number. */
  readonly limit?: number;
  /**
   * Windows that slide: each begins `stride` tokens after the one before and scores its last `stride` tokens, the first one all. The same
   * tokens are scored at each stride, with at least `length − stride` tokens before them. For models that predict the next token of a
   * text without a memory. Default: windows that do not overlap, or segments of a model with a memory.
   *
   * @source Baevski & Auli 2019, "Adaptive Input Representations", §4.4, arXiv:1809.10853
   * @source Press, Smith & Lewis 2022, "Train Short, Test Long", §4.1 and appendix B, arXiv:2108.12409
   */
  readonly stride?: number;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
};

/** Result of an evaluation at one length, or the reason why there is none. */
export type LengthResult =
  | {
      readonly length: number;
      readonly loss: number;
      readonly totals: EvalTotals;
      readonly tokensPerSecond: number;
      /** A remark for readers of the loss, for example that rows were longer than the model has positions. */
      readonly note?: string;
    }
  | { readonly length: number; readonly missing: string };

/**
 * Scores parameters at several lengths. A length for which the task has no rows is reported, not thrown.
 *
 * @throws ConfigError when windows cannot slide
 */
export async function evaluateAtLengths(
  reading: Reading,
  params: Given<unknown>,
  device: Device,
  options: LengthsOptions,
): Promise<LengthResult[]> {
  if (options.stride !== undefined) requireSliding(reading);
  const scorer = evaluator(reading.objective, device);
  const results: LengthResult[] = [];
  const placed = putTree(params, device) as Given<unknown>;
  try {
    for (const length of options.lengths) {
      results.push(await evaluateAt(reading, placed, scorer, length, options));
    }
  } finally {
    await scorer.release();
  }
  return results;
}

async function evaluateAt(
  { view, model }: Reading,
  params: Given<unknown>,
  scorer: Evaluator<unknown, AnyBatch>,
  length: number,
  { split, limit, stride, signal, batchTokens }: LengthsOptions,
): Promise<LengthResult> {
  const rows = Math.max(1, Math.floor(batchTokens / length));
  let batches: Iterable<AnyBatch>;
  try {
    const chosen = { batchSize: rows, length, ...(limit !== undefined && { limit: Math.max(limit, length) }) };
    batches =
      stride === undefined ? view.evalBatches(split, chosen) : view.slidingBatches!(split, { ...chosen, stride });
  } catch (error) {
    // A RangeError is how a task says that its data do not suffice; any other error is a defect.
    if (error instanceof RangeError) return { length, missing: error.message };
    throw error;
  }
  const clock = stopwatch(batches, rows * (stride ?? length), signal);
  let totals: EvalTotals;
  try {
    totals = await scorer.evaluate(params, clock.batches);
  } catch (error) {
    // Some mechanisms are made for rows up to a length.
    if (error instanceof RangeError) return { length, missing: error.message };
    throw error;
  }
  const result = { length, loss: loss.value(totals), totals, tokensPerSecond: clock.tokensPerSecond() };
  const known = model.category === "picture" ? undefined : model.maxLength;
  const notes = [
    ...(known === undefined || length <= known ? [] : [`beyond the ${known} positions that this model has learned`]),
    ...(Number.isFinite(result.loss)
      ? []
      : ["the loss is not finite: some weights are not, or the computation overflows"]),
  ];
  return notes.length === 0 ? result : { ...result, note: notes.join("; ") };
}

function requireSliding({ kind, view, model }: Reading): void {
  if (kind === "segments")
    throw new ConfigError("stride: this model remembers the segments before, which do not overlap; leave it out");
  if (kind !== "next" || model.category !== "decoder")
    throw new ConfigError(
      `stride: windows slide for models that predict the next token from those before; this ${model.category} is trained for ${kind}`,
    );
  if (view.slidingBatches === undefined)
    throw new ConfigError("stride: windows slide over a text; the rows of this task are unrelated to each other");
}

/** Measures from the second batch on, since the first includes compilation; a single batch is measured including it. */
function stopwatch(batches: Iterable<AnyBatch>, tokens: number, signal: AbortSignal | undefined) {
  let count = 0;
  let first = performance.now();
  let end = first;
  function* timed(): Iterable<AnyBatch> {
    for (const batch of batches) {
      signal?.throwIfAborted();
      if (count === 1) first = performance.now();
      yield batch;
      end = performance.now();
      count++;
    }
  }
  return {
    batches: timed(),
    tokensPerSecond: () => (Math.max(count - 1, 1) * tokens * 1000) / Math.max(end - first, 1e-3),
  };
}
