import { foldIn, integers, NDArray, type RandomKey, randomKey, splitKey } from "@tsformers/engine";
import { present } from "../schema/present.ts";
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
 * @param rows the same rows for a model that predicts the next token
 * @source Devlin et al. 2019, "BERT", §3.1, arXiv:1810.04805
 */
export function maskedView(rows: TaskView<Batch>, options: MaskedOptions): NonNullable<TaskViews["masked"]> {
  const { vocabularySize, maskToken = vocabularySize, seed = 0, share = hiddenShare } = options;
  const trainKey = foldIn(randomKey(seed), 1);
  const hide = (batch: Batch, keyOfRow: (row: number) => RandomKey) =>
    hidden(batch, keyOfRow, { vocabularySize, maskToken, share });
  return {
    vocabularySize: Math.max(vocabularySize, maskToken + 1),
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
}

/** 1 at tokens that count, [B, T]. */
function maskOf({ weights }: Batch): NDArray {
  const values = Float32Array.from(weights.data as Float32Array, (weight) => (weight > 0 ? 1 : 0));
  return new NDArray(weights.shape, "float32", values);
}

/** Shares are compared with draws out of one million. */
const grain = 1_000_000;

function hidden(
  rows: Batch,
  keyOfRow: (row: number) => RandomKey,
  { vocabularySize, maskToken, share }: { vocabularySize: number; maskToken: number; share: number },
): Batch {
  const { inputs, weights } = rows;
  const [batch, length] = inputs.shape as [number, number];
  const [shown, counted] = [Int32Array.from(inputs.data as Int32Array), weights.data as Float32Array];
  const chosen = new Float32Array(batch * length);
  for (let row = 0; row < batch; row++) {
    const keys = splitKey(keyOfRow(row), 3);
    const draw = (of: number, high: number) => integers(keys[of]!, [length], { high }).data as Int32Array;
    const [choice, way, token] = [draw(0, grain), draw(1, 10), draw(2, vocabularySize)];
    const from = row * length;
    for (const at of chosenOf(choice, counted.subarray(from, from + length), share)) {
      chosen[from + at] = counted[from + at]!;
      if (way[at]! < 8) shown[from + at] = maskToken;
      else if (way[at]! < 9) shown[from + at] = token[at]!;
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

/** Positions of a row that are predicted: those with a draw below the share, or the one with the lowest draw if there are none. */
function chosenOf(choice: Int32Array, counted: Float32Array, share: number): number[] {
  const places: number[] = [];
  let lowest = -1;
  for (let at = 0; at < counted.length; at++) {
    if (counted[at] === 0) continue;
    if (choice[at]! < share * grain) places.push(at);
    if (lowest < 0 || choice[at]! < choice[lowest]!) lowest = at;
  }
  return places.length > 0 || lowest < 0 ? places : [lowest];
}
