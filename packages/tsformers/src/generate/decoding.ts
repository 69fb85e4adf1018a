import type { Device } from "@tsformers/engine";

/** Decodes one sequence, token after token, each seen once: keys and values of earlier positions are kept. */
export type Decoder = {
  /** How many tokens were read so far. */
  readonly length: number;
  /** How many tokens it can read: no more than the model has positions. */
  readonly maxLength: number;
  /** Reads tokens behind those read before. @returns logits [V] for the token that follows */
  read(tokens: readonly number[]): Promise<Float32Array>;
  /** Forgets every token; compiled programs stay. */
  restart(): void;
  release(): Promise<void>;
};

export type DecoderOptions = {
  readonly device: Device;
  /** Reading more tokens than this is an error; what bounds the memory. */
  readonly maxLength: number;
  /** How many tokens of a prompt are read in one pass, at most. Default: 512. */
  readonly tokensPerPass?: number;
};

/** @throws RangeError for no tokens, too many, and those that are not in the vocabulary */
export function requireTokens(tokens: readonly number[], length: number, maxLength: number, vocabulary: number): void {
  if (tokens.length === 0) throw new RangeError("read: expected at least one token");
  if (length + tokens.length > maxLength) {
    throw new RangeError(`read: ${length + tokens.length} tokens are more than maxLength ${maxLength}`);
  }
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (wrong !== undefined) throw new RangeError(`read: expected tokens of 0 … ${vocabulary - 1}, got ${wrong}`);
}
