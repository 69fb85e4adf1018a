/** Words by their numbers. */
export type Vocabulary = {
  readonly size: number;
  /** @throws RangeError for a word that is none of them */
  encode(words: readonly string[]): number[];
  readonly symbolOf: (token: number) => string;
};

/** Numbers words from 0 on, in the order given. */
export function vocabularyOf(words: readonly string[]): Vocabulary {
  const tokenOf = new Map(words.map((word, token) => [word, token]));
  return {
    size: words.length,
    encode: (list) =>
      list.map((word) => {
        const token = tokenOf.get(word);
        if (token === undefined) throw new RangeError(`no token for ${JSON.stringify(word)}`);
        return token;
      }),
    symbolOf: (token) => words[token] ?? String(token),
  };
}

/** Each word once, in alphabetical order. */
export function distinct(words: Iterable<string>): string[] {
  return [...new Set(words)].sort();
}
