import type { Tokenizer } from "./tokenizer.ts";

const [unknown, lineEnd] = ["<unk>", "<eos>"];
const [unknownToken, lineEndToken] = [0, 1];
const pieces = /\n|[^\s]+/g;

/** The words of a text: what stands between white space. Each line feed is one, too. */
export function spacedWords(text: string): string[] {
  return text.match(pieces) ?? [];
}

/** Number of {@link spacedWords}, as perplexities per word count them. */
export function countSpacedWords(text: string): number {
  let count = 0;
  for (const _ of text.matchAll(pieces)) count++;
  return count;
}

/**
 * One token per word, as texts are read whose words and punctuation have spaces between them, such as WikiText. Token 0, `<unk>`,
 * stands for words that have no token and for `<unk>` itself; token 1, `<eos>`, for the end of a line. `decode` writes one space between words.
 *
 * @param words those that have a token: token 2 and up. Each once, without white space
 * @source Merity et al. 2017, "Pointer Sentinel Mixture Models", §4.3 (WikiText), arXiv:1609.07843
 */
export function wordTokenizer(words: readonly string[]): Tokenizer {
  const names = [unknown, lineEnd, ...words];
  const tokenOf = new Map(words.map((word, index) => [word, index + 2]));
  tokenOf.set("\n", lineEndToken);
  const isUnknown = (word: string): boolean => !tokenOf.has(word) && word !== unknown;
  return {
    config: { kind: "word", words },
    vocabularySize: names.length,
    encode: (text) => Int32Array.from(spacedWords(text), (word) => tokenOf.get(word) ?? unknownToken),
    decode: (tokens) => {
      let text = "";
      let isStart = true;
      for (const token of Array.from(tokens)) {
        if (token === lineEndToken) text += "\n";
        else text += `${isStart ? "" : " "}${names[token] ?? unknown}`;
        isStart = token === lineEndToken;
      }
      return text;
    },
    unknownIn: (text) => [...new Set(spacedWords(text).filter(isUnknown))],
    unknownToken,
  };
}

/** Adds the words of a text to their counts. */
export function countSpaced(counts: Map<string, number>, text: string): void {
  for (const word of spacedWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
}

/**
 * The most frequent words, those that are equally frequent in the order of their UTF-16 units.
 *
 * @param vocabularySize including `<unk>` and `<eos>`, which are always there
 */
export function frequentWords(counts: ReadonlyMap<string, number>, vocabularySize: number): string[] {
  return [...counts]
    .filter(([word]) => word !== unknown && word !== "\n")
    .sort(([a, often], [b, other]) => other - often || (a < b ? -1 : 1))
    .slice(0, Math.max(vocabularySize - 2, 0))
    .map(([word]) => word);
}

/** The tokenizer of a text: its most frequent words, see {@link frequentWords}. */
export function trainWords(text: string, options: { readonly vocabularySize: number }): Tokenizer {
  const counts = new Map<string, number>();
  countSpaced(counts, text);
  return wordTokenizer(frequentWords(counts, options.vocabularySize));
}
