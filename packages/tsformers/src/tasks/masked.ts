import { foldIn, integers, NDArray, type RandomKey, randomKey, splitKey } from "@tsformers/engine";
import { present } from "../schema/present.ts";
import type { WordStarts } from "../tokenizers/word-starts.ts";
import type { Batch, TaskView, TaskViews } from "./task.ts";

export type MaskedOptions = {
  /** Vocabulary of the unmasked rows. */
  readonly vocabularySize: number;
  /** The token that stands for hidden ones. Default: one more, behind the vocabulary. */
  readonly maskToken?: number | undefined;
  /** Default: 0. Evaluation hides the same tokens under every seed. */
  readonly seed?: number;
  /** Share of tokens to predict. Default: {@link hiddenShare}. */
  readonly share?: number;
  /** Where words begin; the view can then hide whole words, too. Absent: tokens are no parts of words. */
  readonly wordStarts?: WordStarts;
};

/** The share of tokens to predict, as in BERT. */
export const hiddenShare = 0.15;

/** Evaluation has a fixed seed, so that runs with different seeds can be compared. */
const evalSeed = -1;

/**
 * Rows of tokens of which some are hidden, to be predicted from the tokens on both sides.
 *
 * Of the tokens with a weight, 15 % are predicted: 80 % of these are replaced by the mask token,
 * 10 % by a random token, 10 % are unchanged. Of each row with any weight, at least one token is predicted. Tokens without a weight
 * are padding. Rows that go on from batch to batch still do.
 *
 * `wholeWords` is the same view, in which words are chosen in place of tokens: all tokens of a word are predicted together.
 *
 * @param rows the same rows for a model that predicts the next token
 * @source Devlin et al. 2019, "BERT", §3.1, arXiv:1810.04805
 */
export function maskedView(rows: TaskView<Batch>, options: MaskedOptions): NonNullable<TaskViews["masked"]> {
  const { vocabularySize, maskToken = vocabularySize, seed = 0, share = hiddenShare, wordStarts } = options;
  const trainKey = foldIn(randomKey(seed), 1);
  const view = (hiding: Hiding): TaskView<Batch> => {
    const hide = (batch: Batch, keyOfRow: (row: number) => RandomKey) => hidden(batch, keyOfRow, hiding);
    return {
      trainBatch: (step, batchSize, length) =>
        hide(rows.trainBatch(step, batchSize, length), (row) => foldIn(foldIn(trainKey, step), row)),
      evalBatches: (split, evaluation) => {
        const batches = rows.evalBatches(split, evaluation);
        const key = foldIn(randomKey(evalSeed), split === "valid" ? 2 : 3);
        return {
          *[Symbol.iterator]() {
            let first = 0;
            for (const batch of batches) {
              // The same tokens of a row, whatever the size of batches. All batches have the same form, with padding or without.
              yield { mask: maskOf(batch), ...hide(batch, (row) => foldIn(key, first + row)) };
              first += evaluation.batchSize;
            }
          },
        };
      },
    };
  };
  const hiding = { vocabularySize, maskToken, share };
  return {
    vocabularySize: Math.max(vocabularySize, maskToken + 1),
    ...view(hiding),
    ...(wordStarts !== undefined && { wholeWords: view({ ...hiding, wordStarts }) }),
  };
}

/** 1 at tokens that count, [B, T]. */
function maskOf({ weights }: Batch): NDArray {
  const values = Float32Array.from(weights.data as Float32Array, (weight) => (weight > 0 ? 1 : 0));
  return new NDArray(weights.shape, "float32", values);
}

/** Shares are compared with draws out of one million. */
const grain = 1_000_000;

/** How tokens are hidden. */
export type Hiding = {
  /** Tokens that may stand in place of a hidden one. */
  readonly vocabularySize: number;
  readonly maskToken: number;
  readonly share: number;
  /** Absent: each token is chosen by itself. */
  readonly wordStarts?: WordStarts;
};

function hidden(rows: Batch, keyOfRow: (row: number) => RandomKey, hiding: Hiding): Batch {
  const { inputs, weights } = rows;
  const [batch, length] = inputs.shape as [number, number];
  const [tokens, counted] = [inputs.data as Int32Array, weights.data as Float32Array];
  const [shown, chosen] = [Int32Array.from(tokens), new Float32Array(batch * length)];
  for (let row = 0; row < batch; row++) {
    const from = row * length;
    const own = counted.subarray(from, from + length);
    for (const { at, shows } of hideTokens(tokens.subarray(from, from + length), own, keyOfRow(row), hiding)) {
      chosen[from + at] = counted[from + at]!;
      shown[from + at] = shows;
    }
  }
  return {
    inputs: new NDArray([batch, length], "int32", shown),
    targets: inputs,
    weights: new NDArray([batch, length], "float32", chosen),
    ...(counted.includes(0) && { mask: maskOf(rows) }),
    ...present({ fresh: rows.fresh }),
  };
}

/** The tokens of a row that are predicted, and what is shown in their places. Only tokens that count are chosen. */
export function hideTokens(
  tokens: ArrayLike<number>,
  counted: ArrayLike<number>,
  key: RandomKey,
  { vocabularySize, maskToken, share, wordStarts }: Hiding,
): { readonly at: number; readonly shows: number }[] {
  const { length } = tokens;
  const keys = splitKey(key, 3);
  const draw = (of: number, high: number) => integers(keys[of]!, [length], { high }).data as Int32Array;
  const [choice, way, token] = [draw(0, grain), draw(1, 10), draw(2, vocabularySize)];
  const starts = wordStarts?.(tokens);
  const firsts: number[] = [];
  for (let at = 0; at < length; at++) {
    const goesOn = starts !== undefined && at > 0 && !starts[at] && counted[at - 1]! > 0;
    firsts.push(goesOn ? firsts[at - 1]! : at);
  }
  return chosenOf(choice, counted, firsts, share).map((at) => {
    if (way[at]! < 8) return { at, shows: maskToken };
    return { at, shows: way[at]! < 9 ? token[at]! : tokens[at]! };
  });
}

/**
 * Positions of a row that are predicted: those with a draw below the share, or the ones with the lowest draw if there are none.
 *
 * @param firsts whose draw counts for each position: its own, or that of the first of its word
 */
function chosenOf(
  choice: ArrayLike<number>,
  counted: ArrayLike<number>,
  firsts: readonly number[],
  share: number,
): number[] {
  const places = firsts.flatMap((_, at) => (counted[at] === 0 ? [] : [at]));
  const found = places.filter((at) => choice[firsts[at]!]! < share * grain);
  if (found.length > 0 || places.length === 0) return found;
  const lowest = places.reduce((best, at) => (choice[firsts[at]!]! < choice[firsts[best]!]! ? at : best));
  return places.filter((at) => firsts[at] === firsts[lowest]);
}
