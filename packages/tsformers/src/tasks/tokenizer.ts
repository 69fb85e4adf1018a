/** What rebuilds a tokenizer, for checkpoints and exported models. */
export type TokenizerConfig = { readonly kind: "byte" } | { readonly kind: "character"; readonly alphabet: string };

/** Text to token numbers and back. */
export type Tokenizer = {
  readonly config: TokenizerConfig;
  readonly vocabularySize: number;
  encode(text: string): Int32Array;
  decode(tokens: ArrayLike<number>): string;
  /** The characters of a text that it has no token for, each once, in the order of the text. */
  unknownIn(text: string): string[];
  /** The token that stands for them; absent where there are none. */
  readonly unknownToken?: number;
};

/** What an unknown character, or a token outside the vocabulary, is shown as. */
const replacement = "\ufffd";

/**
 * One token per Unicode code point: those of `text` in ascending order from 1 on; 0 stands for every other character.
 */
export function characterTokenizer(text: string): Tokenizer {
  const alphabet = [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  const tokenOf = new Map(alphabet.map((character, index) => [character, index + 1]));
  return {
    config: { kind: "character", alphabet: alphabet.join("") },
    vocabularySize: alphabet.length + 1,
    encode: (piece) => Int32Array.from(piece, (character) => tokenOf.get(character) ?? 0),
    decode: (tokens) => Array.from(tokens, (token) => alphabet[token - 1] ?? replacement).join(""),
    unknownIn: (piece) => [...new Set(piece)].filter((character) => !tokenOf.has(character)),
    unknownToken: 0,
  };
}

/** One token per byte of UTF-8, so that nothing is unknown; `decode` shows incomplete sequences as U+FFFD. */
export function byteTokenizer(): Tokenizer {
  return {
    config: { kind: "byte" },
    vocabularySize: 256,
    encode: (piece) => Int32Array.from(new TextEncoder().encode(piece)),
    decode: (tokens) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
    unknownIn: () => [],
  };
}

export function tokenizerFromConfig(config: TokenizerConfig): Tokenizer {
  return config.kind === "byte" ? byteTokenizer() : characterTokenizer(config.alphabet);
}
