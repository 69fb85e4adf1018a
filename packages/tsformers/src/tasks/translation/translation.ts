import * as z from "zod";
import { FileError } from "../../io/file-error.ts";
import { count } from "../../schema/count.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";
import { dataOption, requireData } from "../data-option.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { exactAccuracy, loss, tokenAccuracy } from "../metric.ts";
import { mapSplits, type Splits } from "../splits.ts";
import { storedPairs } from "../stored-pairs.ts";
import type { Task, TaskViews } from "../task.ts";
import { lengthOption, seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { tokenizerOf } from "../text/text-tokens.ts";
import { readSentences, type SentencePair, splitSentences } from "./sentences.ts";

const defaults = { tokens: "character", length: 64 } as const;

/**
 * Translation: write a sentence in another language. Sentences that do not fit a row are left out, of all splits alike.
 *
 * Tokens are those of a tokenizer that both languages share; behind them one that begins a translation, and one that ends it.
 *
 * @param options.tokenizer makes the tokenizer from the training sentences, such as `characterTokenizer`
 * @param options.note hears how many sentences are left out
 */
export function translationTask(options: {
  readonly sentences: Splits<readonly SentencePair[]>;
  readonly tokenizer: (trainText: string) => Tokenizer;
  /** The most tokens of a source, and of a translation with its end. Default: 64. */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
  readonly note?: (line: string) => void;
}): Task<Required<Pick<TaskViews, "pairs">>> {
  const { sentences, length = defaults.length, seed = 0, note } = options;
  const tokenizer = options.tokenizer(sentences.train.flat().join("\n"));
  const [start, end] = [tokenizer.vocabularySize, tokenizer.vocabularySize + 1];
  const encoded = mapSplits(sentences, (pairs) =>
    pairs.map((text) => {
      const [source, target] = text.map((sentence) => [...tokenizer.encode(sentence)]) as [number[], number[]];
      return { text, source, target };
    }),
  );
  const fitting = mapSplits(encoded, (pairs) =>
    pairs.filter(({ source, target }) => Math.max(source.length, target.length + 1) <= length),
  );
  for (const [split, pairs] of Object.entries(fitting))
    if (pairs.length === 0) {
      const isEmpty = encoded[split as keyof typeof encoded].length === 0;
      throw new RangeError(`translation: no pair for ${split}${isEmpty ? "" : ` fits a length of ${length}`}`);
    }
  const [all, kept] = [encoded, fitting].map((splits) => Object.values(splits).flat().length) as [number, number];
  if (kept < all)
    note?.(
      `translation: ${all - kept} of ${all} pairs are left out: a sentence has more tokens than the ${length} of a row`,
    );
  return {
    name: "translation",
    vocabularySize: tokenizer.vocabularySize + 2,
    length,
    metrics: [loss, tokenAccuracy, exactAccuracy],
    tokenizer,
    endToken: end,
    symbolOf: (token) => (token === start ? "␂" : token === end ? "␃" : tokenText(tokenizer, token)),
    fingerprint: `translation ${tokenizer.config.kind} ${fingerprintOf(sentences)} seed=${seed}`,
    translations: { start, end, splits: mapSplits(fitting, (pairs) => pairs.map(({ text }) => text)) },
    views: { pairs: storedPairs({ name: "translation", length, seed, start, end, splits: fitting }).pairs },
  };
}

/** Tokens that are no text on their own, such as single bytes of a character, by their numbers. */
function tokenText(tokenizer: Tokenizer, token: number): string {
  const text = tokenizer.decode([token]);
  return text === "\ufffd" ? `<${token}>` : text;
}

export type TranslationSettings = {
  readonly data?: string;
  readonly tokens?: "character" | "byte" | "bpe";
  readonly vocabulary?: number;
  readonly reverse?: boolean;
  readonly length?: number;
  readonly seed?: number;
};

export const translationEntry: TaskEntry<"translation", TranslationSettings> = /* @__PURE__ */ taskEntry({
  name: "translation",
  title: "Translation",
  category: "data",
  summary: "write a sentence in another language",
  options: () =>
    z.strictObject({
      data: dataOption("a table of sentences, tabs and translations, such as swe-eng.zip of manythings.org/anki"),
      tokens: z
        .enum(["character", "byte", "bpe"])
        .default(defaults.tokens)
        .describe("what one token is; bpe learns its tokens from the training sentences of both languages"),
      vocabulary: count(1_000_000, "the vocabulary is made in memory", 256)
        .optional()
        .describe("the most tokens that bpe may have. Default: 1,000"),
      reverse: z.boolean().default(false).describe("translate the second column into the first"),
      length: lengthOption(defaults.length),
      seed: seedOption(),
    }),
  make: async ({ data, tokens, vocabulary, reverse, ...rest }, { tokenizer, note = console.warn }) => {
    if (vocabulary !== undefined && tokens !== "bpe")
      throw new RangeError(`vocabulary: tokens ${tokens} has the size that it has; it is an option of bpe`);
    const path = requireData("translation", data, "a table of sentences, tabs and translations, or of a zip of one");
    const { readDataTexts } = await import("#files");
    const [table, other] = readDataTexts(path, (name) => /(^|\/)[^/_.][^/]*\.(txt|tsv)$/i.test(name));
    if (table === undefined) throw new FileError(path, "expected a table that ends in .txt or .tsv in it");
    if (other !== undefined) throw new FileError(path, `has ${table.name} and ${other.name}; give one table`);
    const turned = ([a, b]: SentencePair): SentencePair => (reverse ? [b, a] : [a, b]);
    const sentences = mapSplits(splitSentences(readSentences(table.text, table.path)), (pairs) => pairs.map(turned));
    const made = tokenizer ?? (await tokenizerOf(sentences.train.flat().join("\n"), { tokens, vocabulary }));
    return translationTask({ sentences, tokenizer: () => made, note, ...rest });
  },
});
