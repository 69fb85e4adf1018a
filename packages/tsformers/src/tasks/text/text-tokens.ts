import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import { bpeTokenizer, countWords } from "../../tokenizers/train-bpe.ts";
import { countSpaced, frequentWords, wordTokenizer } from "../../tokenizers/word.ts";

/** What one token is. */
export type TokenKind = "character" | "byte" | "bpe" | "word";

/** What the tokens of a text are. */
export type TokenChoice = {
  readonly tokens: TokenKind;
  /** The most tokens of `bpe` and `word`. Default: {@link usualVocabulary}. */
  readonly vocabulary?: number | undefined;
  /** Path of a `tokenizer.json`, or of a folder with one, instead. */
  readonly tokenizer?: string | undefined;
};

const usualVocabulary = { bpe: 1000, word: 50_000 } as const;

/** Learns tokens from the training split of a text, piece by piece. */
export type TokenLearner = {
  add(text: string): void;
  tokenizer(): Promise<Tokenizer>;
};

/** Absent for tokens that are not learned from the frequencies of words. */
export function tokenLearner({ tokens, vocabulary }: TokenChoice): TokenLearner | undefined {
  if (tokens !== "bpe" && tokens !== "word") return undefined;
  const counts = new Map<string, number>();
  const size = vocabulary ?? usualVocabulary[tokens];
  return tokens === "bpe"
    ? { add: (text) => countWords(counts, text), tokenizer: () => bpeTokenizer(counts, size) }
    : {
        add: (text) => countSpaced(counts, text),
        tokenizer: async () => wordTokenizer(frequentWords(counts, size)),
      };
}

/** The tokenizer of a choice, of the training split of a text in memory. */
export async function tokenizerOf(trainText: string, choice: TokenChoice): Promise<Tokenizer> {
  if (choice.tokenizer !== undefined) {
    const { readTokenizerAt } = await import("#files");
    return readTokenizerAt(choice.tokenizer);
  }
  const learner = tokenLearner(choice);
  learner?.add(trainText);
  if (learner !== undefined) return learner.tokenizer();
  return choice.tokens === "byte" ? byteTokenizer() : characterTokenizer(trainText);
}
