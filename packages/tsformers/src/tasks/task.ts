import type { NDArray } from "@tsformers/engine";
import type { DecisionOptions } from "../models/agents/decision-model.ts";
import type { PictureShape } from "../pictures/picture-model.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import type { Metric } from "./metric.ts";
import type { SegmentedSplit } from "./segments.ts";
import type { Splits } from "./splits.ts";

/**
 * Rows for predicting `targets[b,t]`: from `inputs[b,0…t]` if the model is causal, from all of `inputs[b]` if it sees both sides.
 * All batches of a call
 * have the same shape; rows and positions that are padding or not scored have weight 0.
 *
 * @shape inputs, targets int32 [B, T]; weights float32 [B, T]
 */
export type Batch = {
  readonly inputs: NDArray;
  readonly targets: NDArray;
  readonly weights: NDArray;
  /** 1 at tokens, 0 at padding, float32 [B, T]. Absent: no row could see padding. */
  readonly mask?: NDArray;
  /** Tokens that followed contexts like that of each position, int32 [B, T, k]. Absent: the view has none. */
  readonly neighbours?: NDArray;
  /** 1 for rows in which a document begins, float32 [B]. Absent: rows are unrelated to those of the previous batch. */
  readonly fresh?: NDArray;
};

/**
 * Rows with a class each.
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
 * Rows `[CLS] first [SEP] second [SEP]` with hidden tokens, and whether the second part follows the first.
 *
 * @shape mask float32 [B, T], 1 at tokens; types int32 [B, T], 0 up to the first separator, then 1; labels int32 [B], 0 where it follows, 1 where
 *   it comes from elsewhere; rowWeights float32 [B]; the rest as in {@link Batch}
 */
export type SentencesBatch = Batch & {
  readonly mask: NDArray;
  readonly types: NDArray;
  readonly labels: NDArray;
  readonly rowWeights: NDArray;
};

/**
 * Pairs of rows with a class each, such as whether one document cites the other.
 *
 * @shape others and othersMask as `inputs` and `mask` of a {@link LabelledBatch}
 */
export type MatchedBatch = LabelledBatch & { readonly others: NDArray; readonly othersMask: NDArray };

/**
 * Rows of points with D real features, and for each row the mixture of K Gaussians that its points were drawn from: of every component log π, the
 * mean and the standard deviations. Mixtures are for those who judge; a model does not read them.
 *
 * @shape inputs float32 [B, T, D]; mask float32 [B, T], 1 at points, 0 at padding; weights float32 [B]; mixtures float32 [B, K, 1 + 2·D]
 */
export type PointsBatch = {
  readonly inputs: NDArray;
  readonly mask: NDArray;
  readonly weights: NDArray;
  readonly mixtures: NDArray;
};

/**
 * Sets of vectors with F real features, and for each set a number that is to be told.
 *
 * @shape inputs float32 [B, T, F]; mask float32 [B, T], 1 at vectors, 0 at padding; quantities float32 [B]; weights float32 [B]
 */
export type QuantitiesBatch = {
  readonly inputs: NDArray;
  readonly mask: NDArray;
  readonly quantities: NDArray;
  readonly weights: NDArray;
};

/** What a model must know of {@link QuantitiesBatch}. */
export type Quantity = {
  /** F of each vector. */
  readonly features: number;
  /** Rows and columns, where each vector is a grey picture: F = side². Absent: it is not. */
  readonly side?: number | undefined;
  /** What is scored: how far a number is from the true one, told in some unit; or −log p of a count of at most so many under a Poisson distribution. */
  readonly error:
    | { readonly kind: "absolute"; readonly unit: number }
    | { readonly kind: "poisson"; readonly most: number };
};

/**
 * Parts of episodes, at most T steps each, with padding before them.
 *
 * @shape returns float32 [B, T], what is received from each step on; states float32 [B, T, F]; actions int32 [B, T] of choices, float32 [B, T, A] of real
 *   ones; timesteps int32 [B, T], 0 at the first step of an episode; mask float32 [B, T], 1 at steps, 0 at padding
 */
export type WindowsBatch = {
  readonly returns: NDArray;
  readonly states: NDArray;
  readonly actions: NDArray;
  readonly timesteps: NDArray;
  readonly mask: NDArray;
};

/**
 * Pictures, and which of them are scored.
 *
 * @shape pictures int32 [B, R, W, K], levels of each channel; weights float32 [B]
 */
export type PicturesBatch = { readonly pictures: NDArray; readonly weights: NDArray };

/**
 * Rows for an encoder-decoder: `targets[b,t]` is predicted from the source and `inputs[b,0…t]`, which are the targets
 * shifted right by a start token. `sourceWeights` is 1 at tokens of the source and 0 at padding.
 *
 * @shape source int32 [B, S], sourceWeights float32 [B, S]; the rest as in {@link Batch}
 */
export type PairBatch = Batch & { readonly source: NDArray; readonly sourceWeights: NDArray };

/**
 * Questions with a document each: `question separator document`. The answer is where it stands, from its first to its last token.
 *
 * @shape inputs int32 [B, T]; mask float32 [B, T], 1 at tokens, 0 at padding; targets int32 [B, 2], the first and the last token of the answer; found
 *   float32 [B], 1 where it is in the row, 0 where it was cut away; weights float32 [B]; words int32 [B, T], equal for tokens that count as the
 *   same word of a row, 0 for punctuation and articles; answers int32 [B, A, W], the words of the accepted answers, filled up with 0
 */
export type SpansBatch = {
  readonly inputs: NDArray;
  readonly mask: NDArray;
  readonly targets: NDArray;
  readonly found: NDArray;
  readonly weights: NDArray;
  readonly words: NDArray;
  readonly answers: NDArray;
};

export type EvalSplit = "valid" | "test";

export type EvalOptions = {
  readonly batchSize: number;
  readonly length: number;
  /** Number of tokens scored, exactly, whatever the length. Default: the task's own number, of tokens or of whole rows. */
  readonly limit?: number;
};

/** One way to read a task, with batches of one form. */
export type TaskView<B> = {
  /** The batch of an update: a pure function of the task's seed and `step`, so that a resumed run needs no further state. */
  trainBatch(step: number, batchSize: number, length?: number): B;
  /**
   * Batches that are the same under every seed, at any length, including lengths beyond that of training. At each length the same tokens
   * (of a text), or equally many tokens or rows (of a generated task), are scored, so that losses at different lengths can be compared.
   */
  evalBatches(split: EvalSplit, options: EvalOptions): Iterable<B>;
  /**
   * Batches of windows that begin `stride` tokens after one another, and overlap where it is less than the length: each scores its last `stride`
   * tokens, the first one all, so that the same tokens are scored at each stride. Absent: rows are unrelated to each other.
   *
   * @throws RangeError when the stride is greater than the length
   */
  slidingBatches?(split: EvalSplit, options: EvalOptions & { readonly stride: number }): Iterable<B>;
  /** Present if the length of training rows differs from update to update; `trainBatch` is to be asked for rows of that length. */
  readonly lengths?: TrainLengths;
  /** Whether `limit` counts rows, since each has one answer, and not positions. */
  readonly limitsRows?: true;
  /** How results of this view are reported. Default: as the task says. */
  readonly metrics?: readonly Metric[];
};

export type TrainLengths = {
  /** T of the rows of an update. */
  at(step: number): number;
  /** The lengths of so many updates in a row, in any order: each as often as it occurs. */
  readonly cycle: readonly number[];
};

export type Classes = { readonly classes: number; readonly classNames?: readonly string[] };

/** The ways in which a task can be read; an objective says which one it needs. */
export type TaskViews = {
  /** Rows of tokens for predicting the next token. */
  readonly next?: TaskView<Batch>;
  /** Like `next`, but row b continues where row b of the previous batch ended, for models with a memory. */
  readonly segments?: TaskView<Batch>;
  /** Rows of tokens, some of which are hidden and predicted. */
  readonly masked?: TaskView<Batch> & {
    /** Including the mask token. */
    readonly vocabularySize: number;
    /** The same with whole words that are hidden. Absent: tokens are no parts of words. */
    readonly wholeWords?: TaskView<Batch>;
  };
  /** Rows of two stretches of a text, the second of which follows the first or comes from elsewhere; some tokens are hidden. */
  readonly sentences?: TaskView<SentencesBatch> & {
    /** Including the tokens for hidden ones, for the beginning of a row and for the ends of its parts. */
    readonly vocabularySize: number;
    /** The same with whole words that are hidden. */
    readonly wholeWords: TaskView<SentencesBatch>;
  };
  /** Rows with a class each. */
  readonly labelled?: TaskView<LabelledBatch> & Classes;
  /** Two rows with a class for both. */
  readonly matched?: TaskView<MatchedBatch> & Classes;
  /** Rows with a class at each position: targets are classes, not tokens. */
  readonly tagged?: TaskView<Batch> & Classes;
  /** Sources and targets. `length` is that of each of the two; where targets are short, that of sources. */
  readonly pairs?: TaskView<PairBatch>;
  /** Questions that a span of a document answers. */
  readonly spans?: TaskView<SpansBatch> & {
    /** The token that ends a question. */
    readonly separator: number;
    /** Tokens of the longest answer that is looked for. */
    readonly longest: number;
  };
  /** Rows to be given back, all of each from one state: targets are the inputs. */
  readonly reconstructed?: TaskView<Batch>;
  /** Rows of points, real values in place of tokens, that come from a mixture of Gaussians. */
  readonly points?: TaskView<PointsBatch> & {
    /** D */
    readonly features: number;
    /** K */
    readonly components: number;
  };
  /** Sets of vectors with a number each. */
  readonly quantities?: TaskView<QuantitiesBatch> & { readonly quantity: Quantity };
  /** Parts of episodes, in which an agent saw, did and received something at each step. */
  readonly windows?: TaskView<WindowsBatch> & {
    /** What a model must know of the environment. */
    readonly decisions: DecisionOptions;
  };
  /** Pictures of a fixed size. `length` is the number of their values. */
  readonly pictures?: TaskView<PicturesBatch> & {
    /** What a model must know of them. */
    readonly shape: PictureShape;
  };
};

/** A text as its tokens, from which rows are cut. */
export type TextSource = {
  /** Equal for equal texts and tokens, whatever the seed. */
  readonly fingerprint: string;
  readonly splits: Splits<SegmentedSplit>;
  /** The tokens at which the documents of each split begin, ascending, the first one at 0. Absent: each split is one document. */
  readonly documents?: Splits<readonly number[]>;
  /** Like the view `segments`, but rows say where in the split their tokens stand: inputs and targets are places. */
  readonly places: TaskView<Batch>;
};

export type ViewName = keyof TaskViews;

/** Something to learn: training rows are drawn by a seed, and can be read in one or several ways. */
export type Task<Views extends TaskViews = TaskViews> = {
  readonly name: string;
  readonly vocabularySize: number;
  /** Default of T, the length of training rows. */
  readonly length: number;
  /** How results are reported: first the loss in nats; the second, where there is one, ranks the variants of a comparison. */
  readonly metrics: readonly Metric[];
  /** Equal for equal data and options: a run may only be resumed with the same task. */
  readonly fingerprint: string;
  /** Present if tokens represent text. */
  readonly tokenizer?: Tokenizer;
  /** Present if rows are cut from a text. */
  readonly text?: TextSource;
  /** Ends what is written, if the task has such a token: `generate` stops there. */
  readonly endToken?: number;
  /** Present if rows are translations: their sentences and references as text, and the tokens that begin and end what is written. */
  readonly translations?: {
    readonly start: number;
    readonly end: number;
    readonly splits: Splits<readonly (readonly [source: string, reference: string])[]>;
  };
  /** How a token is written for people. Default: as its tokenizer does, or as a number. */
  readonly symbolOf?: (token: number) => string;
  /** Present if rows are pictures, read line by line: how many pixels a line has. Token 0 is padding, then come levels of grey from black to white. */
  readonly columns?: number;
  /** What the task is about, where other views only serve pre-training. Default: what suits the model. */
  readonly usualView?: ViewName;
  /** Present if evaluation scores fewer positions than training: only what can be known. */
  readonly scoredApart?: true;
  readonly views: Views;
};

/** @throws RangeError naming the task when an extent of a batch is not a positive integer */
export function checkExtents(task: string, extents: { batchSize: number; length: number; limit?: number }): void {
  for (const [name, value] of Object.entries(extents)) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`${task}: ${name} must be an integer ≥ 1, got ${value}`);
    }
  }
}
