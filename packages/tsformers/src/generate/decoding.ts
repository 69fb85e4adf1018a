import type { Device, DeviceArray } from "@tsformers/engine";

/** Decodes one sequence incrementally: each token is read once, and the decode state of earlier positions is kept. */
export type Decoder = {
  /** Number of tokens read so far. */
  readonly length: number;
  /** The most tokens it can read, which learned positions bound. */
  readonly maxLength: number;
  /** Reads tokens that follow those read before. @returns logits [V] for the next token */
  read(tokens: readonly number[]): Promise<Float32Array>;
  /** What went into the last feed-forward network at the last position read, [C]; only where the decoder was opened to tell it. */
  readonly ffnInput?: Float32Array | undefined;
  /** Forgets all tokens; compiled programs are kept. */
  restart(): void;
  release(): Promise<void>;
};

export type DecoderOptions = {
  readonly device: Device;
  /** The most tokens that can be read, which bounds the memory. */
  readonly maxLength: number;
  /** The most tokens of a prompt read in one pass. Default: 512. */
  readonly tokensPerPass?: number;
  /** Whether the decoder tells what goes into the last feed-forward network, by which datastores are searched. Default: no. */
  readonly tellsFfnInput?: boolean;
};

/** @throws RangeError when there are no tokens, too many, or some outside the vocabulary */
export function requireTokens(tokens: readonly number[], length: number, maxLength: number, vocabulary: number): void {
  if (tokens.length === 0) throw new RangeError("read: expected at least one token");
  if (length + tokens.length > maxLength) {
    throw new RangeError(`read: ${length + tokens.length} tokens are more than maxLength ${maxLength}`);
  }
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (wrong !== undefined) throw new RangeError(`read: expected tokens of 0 … ${vocabulary - 1}, got ${wrong}`);
}

/** What an array holds now: the next step may write into its memory. */
export async function copyOf(array: DeviceArray): Promise<Float32Array> {
  return Float32Array.from((await array.read()).data as Float32Array);
}
