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

/** Decodes several sequences side by side, or one. All have read equally many tokens. */
export type RowsDecoder = Omit<Decoder, "read"> & {
  /** Number of sequences. */
  readonly rows: number;
  /** As a decoder of one sequence does. @throws RangeError when there are several */
  read(tokens: readonly number[]): Promise<Float32Array>;
  /**
   * Reads tokens of every row, equally many.
   * @returns logits [V] for the next token of each row
   * @throws RangeError when there are more or fewer rows than the decoder has, or they differ in length
   */
  readRows(tokens: readonly (readonly number[])[]): Promise<Float32Array[]>;
};

export type DecoderOptions = {
  readonly device: Device;
  /** The most tokens that can be read, which bounds the memory. */
  readonly maxLength: number;
  /** The most tokens of a prompt read in one pass. Default: 512. */
  readonly tokensPerPass?: number;
  /** Sequences that are decoded side by side. Default: 1. */
  readonly rows?: number;
  /** Whether the decoder, of one row, tells what goes into the last feed-forward network, by which datastores are searched. Default: no. */
  readonly tellsFfnInput?: boolean;
};

/** @throws RangeError when the number of rows is no positive integer, or several are to tell the input of the feed-forward network */
export function requireRows({ rows = 1, tellsFfnInput = false }: DecoderOptions): number {
  if (!(Number.isInteger(rows) && rows >= 1))
    throw new RangeError(`openDecoder: expected rows of 1 or more, got ${rows}`);
  if (rows > 1 && tellsFfnInput) throw new RangeError(`openDecoder: tellsFfnInput needs one row, got ${rows}`);
  return rows;
}

/** What a decoder reads with, given how it reads rows of equally many tokens, which are checked here. */
export function readers(
  decoder: { readonly rows: number; readonly maxLength: number; readonly length: number; readonly vocabulary: number },
  readAll: (tokens: readonly (readonly number[])[]) => Promise<Float32Array>,
): Pick<RowsDecoder, "read" | "readRows"> {
  const readRows = async (tokens: readonly (readonly number[])[]): Promise<Float32Array[]> => {
    const { rows, maxLength, length, vocabulary } = decoder;
    if (tokens.length !== rows) throw new RangeError(`read: expected tokens of ${rows} rows, got ${tokens.length}`);
    if (tokens.some((row) => row.length !== tokens[0]!.length)) {
      const lengths = tokens.map((row) => row.length).join(", ");
      throw new RangeError(`read: expected equally many tokens of each row, got ${lengths}`);
    }
    for (const row of tokens) requireTokens(row, length, maxLength, vocabulary);
    const logits = await readAll(tokens);
    return tokens.map((_, row) => logits.slice(row * vocabulary, (row + 1) * vocabulary));
  };
  return { readRows, read: async (tokens) => (await readRows([tokens]))[0]! };
}

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
