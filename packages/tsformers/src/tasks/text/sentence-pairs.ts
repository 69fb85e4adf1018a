import { foldIn, integers, NDArray, type RandomKey, randomKey, splitKey } from "@tsformers/engine";
import type { Tokenizer } from "../../tokenizers/index.ts";
import { type WordStarts, wordStarts } from "../../tokenizers/word-starts.ts";
import { type Hiding, hiddenShare, hideTokens } from "../masked.ts";
import { loss, nextSentenceAccuracy, tokenAccuracy } from "../metric.ts";
import { column, packed, packRows, type Row, scoredPositions } from "../row-forms.ts";
import { type RowForm, type RowSource, rowsView } from "../rows.ts";
import type { Splits } from "../splits.ts";
import type { SentencesBatch, TaskViews } from "../task.ts";
import type { Tokens } from "./tokenized-text.ts";

type SentencesRow = Row & { readonly types: readonly number[]; readonly label: number };

/** Tokens of a row that are no text: one at its beginning, one behind each part. */
const marks = 3;

/** Evaluation has a fixed seed, so that runs with different seeds can be compared. */
const evalSeed = -1;

/**
 * Rows `[CLS] first [SEP] second [SEP]` of a text, of length T. A stretch of T − 3 tokens is cut where the sentence begins that is nearest to its
 * middle; in half of the rows its second part gives way to as many tokens of another place, which begin with a sentence, too. Of the text, 15 % of the
 * tokens are hidden as in {@link maskedView}.
 *
 * Where a stretch has no beginning of a sentence, it is cut at that of a word. Evaluation takes stretches one after the other.
 *
 * @throws RangeError when a split is too short for a row and another place
 * @source Devlin et al. 2019, "BERT", §3.1 (tasks 1 and 2) and appendix A.2, arXiv:1810.04805
 * @differs parts are stretches of the text, which may begin or end within a sentence; the other place is anywhere in the split, not always in
 *   another document; rows are never shortened
 */
export function sentencePairsView(options: {
  readonly splits: Splits<Tokens>;
  readonly tokenizer: Tokenizer;
  readonly length: number;
  readonly seed: number;
}): NonNullable<TaskViews["sentences"]> {
  const { splits, tokenizer, length, seed } = options;
  const { vocabularySize, maskToken = vocabularySize } = tokenizer;
  // Tokens that the tokenizer has not stand behind its vocabulary.
  const next = Math.max(vocabularySize, maskToken + 1);
  const { classToken = next, separatorToken = Math.max(next, classToken + 1) } = tokenizer;
  const hiding: Hiding = { vocabularySize, maskToken, share: hiddenShare };
  // Made when they are asked for: both look at every token of the vocabulary.
  let made: { readonly words: WordStarts; readonly cuts: (tokens: readonly number[]) => number[] } | undefined;
  const boundaries = () => {
    const words = made?.words ?? wordStarts(tokenizer);
    made ??= { words, cuts: cutsOf(tokenizer, words) };
    return made;
  };
  const view = (wholeWords: boolean) => {
    const rowAt = (split: Tokens, start: number, key: RandomKey, size: number): SentencesRow => {
      const room = size - marks;
      const { words, cuts } = boundaries();
      const [label, elsewhere, hide] = splitKey(key, 3) as [RandomKey, RandomKey, RandomKey];
      const stretch = Array.from(split.read(start, start + room));
      const cut = nearest(cuts(stretch), room / 2);
      const follows = integers(label, [], { high: 2 }).item() === 0;
      const second = follows ? stretch.slice(cut) : otherPart(split, room, room - cut, elsewhere, cuts);
      const tokens = [classToken, ...stretch.slice(0, cut), separatorToken, ...second, separatorToken];
      const counted = tokens.map((_, at) => (at === 0 || at === cut + 1 || at === size - 1 ? 0 : 1));
      const [inputs, weights] = [[...tokens], tokens.map(() => 0)];
      for (const { at, shows } of hideTokens(tokens, counted, hide, {
        ...hiding,
        ...(wholeWords && { wordStarts: words }),
      })) {
        inputs[at] = shows;
        weights[at] = 1;
      }
      return {
        ...{ inputs, targets: tokens, weights },
        types: tokens.map((_, at) => (at <= cut + 1 ? 0 : 1)),
        label: follows ? 0 : 1,
      };
    };
    const trainKey = foldIn(randomKey(seed), 3);
    const source: RowSource<SentencesRow> = {
      train: ({ step, index }, size) => {
        requireRoom("train", splits.train, size);
        const [place, rest] = splitKey(foldIn(foldIn(trainKey, step), index), 2) as [RandomKey, RandomKey];
        return rowAt(splits.train, placeIn(splits.train, size - marks, place), rest, size);
      },
      eval: (split, index, size) => {
        requireRoom(split, splits[split], size);
        const start = index * (size - marks);
        if (start + size - marks > splits[split].length) return undefined;
        const key = foldIn(foldIn(randomKey(evalSeed), split === "valid" ? 4 : 5), index);
        return rowAt(splits[split], start, key, size);
      },
    };
    return rowsView({ name: "text", length, source, form: sentencesForm, limit: Number.MAX_SAFE_INTEGER });
  };
  return {
    ...view(false),
    wholeWords: { ...view(true), metrics },
    vocabularySize: Math.max(next, classToken + 1, separatorToken + 1),
    metrics,
  };
}

const metrics = [loss, tokenAccuracy, nextSentenceAccuracy];

const sentencesForm: RowForm<SentencesRow, SentencesBatch> = scoredPositions((rows, batchSize, length) => {
  const ones = rows.map(({ inputs }) => inputs.map(() => 1));
  return {
    ...packRows(rows, batchSize, length),
    mask: packed(ones, "float32", batchSize, length),
    types: packed(
      rows.map(({ types }) => types),
      "int32",
      batchSize,
      length,
    ),
    labels: column(
      rows.map(({ label }) => label),
      "int32",
      batchSize,
    ),
    rowWeights: new NDArray(
      [batchSize],
      "float32",
      Float32Array.from({ length: batchSize }, (_, i) => (i < rows.length ? 1 : 0)),
    ),
  };
});

/** Where a stretch of so many tokens begins. */
function placeIn({ length }: Tokens, stretch: number, key: RandomKey): number {
  return integers(key, [], { high: Math.min(length - stretch + 1, 2 ** 32), dtype: "int64" }).item();
}

/** So many tokens of a random place, from the first cut on. */
function otherPart(
  split: Tokens,
  room: number,
  count: number,
  key: RandomKey,
  cuts: (tokens: readonly number[]) => number[],
): number[] {
  const start = placeIn(split, room + count, key);
  const from = start + cuts(Array.from(split.read(start, start + room)))[0]!;
  return Array.from(split.read(from, from + count));
}

function nearest(places: readonly number[], middle: number): number {
  return places.reduce((best, place) => (Math.abs(place - middle) < Math.abs(best - middle) ? place : best));
}

/** Ends with a mark that ends sentences, and what may stand behind it, or with a line feed. */
const sentenceEnd = /(?:[.!?…。！？]["'”’»)\]]*\s*|\n)$/u;

/** How many tokens before a place tell whether a sentence ended. */
const looksBack = 4;

/** Where sentences begin within a stretch, or else words, or else its middle; at least one place. */
function cutsOf({ decode }: Tokenizer, words: WordStarts): (tokens: readonly number[]) => number[] {
  return (tokens) => {
    const inside = words(tokens).flatMap((isStart, at) => (isStart && at > 0 ? [at] : []));
    const sentences = inside.filter((at) => sentenceEnd.test(decode(tokens.slice(Math.max(at - looksBack, 0), at))));
    if (sentences.length > 0) return sentences;
    return inside.length > 0 ? inside : [tokens.length >> 1];
  };
}

/** A stretch, and another place that may begin up to a stretch later. */
function requireRoom(name: string, { length }: Tokens, size: number): void {
  if (size < marks + 2) throw new RangeError(`text: two sentences need a length of at least ${marks + 2}, got ${size}`);
  const needed = 2 * (size - marks);
  if (length >= needed) return;
  throw new RangeError(
    `text: pairs of sentences of length ${size} need ${needed} tokens, the ${name} split has ${length}; use a shorter length or a longer text`,
  );
}
