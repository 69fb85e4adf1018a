import type { Concrete, Tensor } from "@tsformers/engine";
import type { Slots } from "./view.ts";

/**
 * What a layer keeps from one call to the next, told apart by who owns it. It goes in and comes out whole: a wrapper hands the record
 * on and never looks inside.
 */
export type LayerState = {
  /** What earlier positions of the sequence left for those that follow: keys and values, sums, clusters. Batch axis in front. */
  readonly decode?: unknown;
  /**
   * What each row remembers of what it read in earlier calls: batch axis in front, never differentiated, started again where a
   * document begins, handed from batch to batch in training and evaluation.
   */
  readonly segment?: unknown;
  /** What training updates without gradients, the same for all rows: running centroids, drawn features. Saved with the model. */
  readonly training?: unknown;
};

/** The states of the layers of a stack. */
export type StackState = {
  /** Of every layer; those that have read nothing yet may be missing. */
  readonly decode?: readonly unknown[];
  /** Of every layer; `undefined` for those without a memory. */
  readonly segment?: readonly unknown[];
  /** By the number of the layer, of those that have one. */
  readonly training?: Readonly<Record<string, unknown>>;
};

/** Where a call of decoding stands. */
export type DecodePlace = {
  /** How many positions came before, int32 scalar. */
  readonly position: Tensor;
  /** Where keys and values are kept. Default: position i in slot i. */
  readonly slots?: Slots | undefined;
};

/** The memory of a mixer that looks back beyond its input. */
export type SegmentMemory = {
  /** How many positions before its input a query sees at most: views leave room for them in front of the keys. */
  readonly length: number;
  /** Whether documents may begin in the middle of a segment: the memory then forgets what came before. Default: no. */
  readonly forgets?: true;
  /** An empty memory of `batch` rows; the batch axis comes first in every array. */
  init(batch: number): Concrete<unknown>;
  /**
   * Inside the trace: the memory where rows that are `fresh` (bool [B]) start again, for large memories, which need not be erased.
   * Default: what such rows have is replaced by what `init` gives.
   */
  restart?(memory: unknown, fresh: Tensor): unknown;
};
