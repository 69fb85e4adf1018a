/** Description of a tokenizer from which it can be rebuilt, for runs and exported models. */
export type TokenizerConfig =
  | { readonly kind: "byte" }
  | { readonly kind: "character"; readonly alphabet: string }
  /** Words of a text whose words have spaces between them, in the order of their tokens. */
  | { readonly kind: "word"; readonly words: readonly string[] }
  /** The contents of `tokenizer.json` and `tokenizer_config.json`. */
  | { readonly kind: "hugging-face"; readonly tokenizer: object; readonly config: object };

/** Converts between text and token numbers. */
export type Tokenizer = {
  readonly config: TokenizerConfig;
  readonly vocabularySize: number;
  encode(text: string): Int32Array;
  decode(tokens: ArrayLike<number>): string;
  /** Characters of a text without a token, each once, in order of first occurrence. */
  unknownIn(text: string): string[];
  /** The token for unknown characters, if there is one; generation never yields it. */
  readonly unknownToken?: number;
  /** The token that stands for hidden ones, if there is one. */
  readonly maskToken?: number;
  /** The token that begins a row of one or two texts, and the one that ends each of them, if there are such. */
  readonly classToken?: number;
  readonly separatorToken?: number;
};
