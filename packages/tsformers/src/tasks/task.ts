import type { NDArray } from "@tsformers/engine";

import type { Metric } from "./metric.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * Rows for a model that predicts `targets[b,t]`: a causal model from `inputs[b,0…t]`, one that sees both sides from all of `inputs[b]`.
 * Every batch of a call has the same shape; rows and positions that only fill it up have weight 0, as has everything that is not
 * scored.
 *
 * @shape inputs, targets int32 [B, T]; weights float32 [B, T]
 */
export type Batch = {
  readonly inputs: NDArray;
  readonly targets: NDArray;
  readonly weights: NDArray;
  /** 1 at tokens, 0 at padding, float32 [B, T]. Absent: no padding that a row could see. */
  readonly mask?: NDArray;
  /** 1 for rows whose document begins here, float32 [B]. Absent: rows have nothing to do with those of the batch before. */
  readonly fresh?: NDArray;
};

/**
 * Rows that each belong to a class.
 *
 * @shape inputs int32 [B, T]; mask float32 [B, T], 1 at tokens, 0 at padding; labels int32 [B]; weights float32 [B]
 */
export type LabelledBatch = {
  readonly inputs: NDArray;
  readonly mask: NDArray;
  readonly labels: NDArray;
  readonly weights: NDArray;
};

/**
 * Rows for an encoder-decoder: `targets[b,t]` is predicted from the source and `inputs[b,0…t]`, which are the targets
 * shifted right behind a start token. `sourceWeights` is 1 at tokens of the source and 0 at padding.
 *
 * @shape source int32 [B, S], sourceWeights float32 [B, S]; the rest as in {@link Batch}
 */
export type PairBatch = Batch & { readonly source: NDArray; readonly sourceWeights: NDArray };

export type EvalSplit = "valid" | "test";

export type EvalOptions = {
  readonly batchSize: number;
  readonly length: number;
  /** How many tokens are scored, exactly, whatever the length; each task documents its default. */
  readonly limit?: number;
};

/** One way to read a task, as batches of one form. */
export type TaskView<B> = {
  /** The batch of an update: a pure function of the task's seed and `step`, so that a resumed run needs no other state. */
  trainBatch(step: number, batchSize: number, length?: number): B;
  /**
   * Batches that never change, whatever the seed, at any length, also beyond the training length. The same tokens (of a text) or as many
   * (of a generated task) are scored at each length, so that losses at different lengths compare.
   */
  evalBatches(split: EvalSplit, options: EvalOptions): Iterable<B>;
};

/** The ways in which a task can be read; an objective says which one it needs. */
export type TaskViews = {
  /** Rows of tokens, the next one of which is predicted. */
  readonly next?: TaskView<Batch>;
  /** As `next`, but row b goes on where row b of the batch before ended, so that models can remember it. */
  readonly segments?: TaskView<Batch>;
  /** Rows of tokens, some of which are hidden and predicted. */
  readonly masked?: TaskView<Batch> & {
    /** With the token that stands for hidden ones. */
    readonly vocabularySize: number;
  };
  /** Rows of a class each. */
  readonly labelled?: TaskView<LabelledBatch> & { readonly classes: number };
  /** A source and a target. Here `length` is that of each of the two. */
  readonly pairs?: TaskView<PairBatch>;
};

export type ViewName = keyof TaskViews;

/** Something to learn: named, its training rows drawn by a seed, read in one or several ways. */
export type Task<Views extends TaskViews = TaskViews> = {
  readonly name: string;
  readonly vocabularySize: number;
  /** T of training batches unless another is asked for. */
  readonly length: number;
  /** How results are reported; the first is the loss in nats. */
  readonly metrics: readonly Metric[];
  /** Equal for equal data and options: a run must not be resumed with another. */
  readonly fingerprint: string;
  /** Present where tokens stand for text. */
  readonly tokenizer?: Tokenizer;
  readonly views: Views;
};

/** @throws RangeError naming the task when a batch's extents are not positive integers */
export function checkExtents(task: string, extents: { batchSize: number; length: number; limit?: number }): void {
  for (const [name, value] of Object.entries(extents)) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`${task}: ${name} must be an integer ≥ 1, got ${value}`);
    }
  }
}
