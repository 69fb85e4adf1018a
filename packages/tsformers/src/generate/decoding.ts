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

/** Decodes several sequences side by side, or one. All have read equally many tokens. With several, `read` throws a RangeError. */
export type RowsDecoder = Decoder & {
  /** Number of sequences. */
  readonly rows: number;
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

/** What a program gives for the last tokens of all rows. */
export type PassOut = { readonly logits: DeviceArray; readonly ffnInput?: DeviceArray };

/** How a decoder reads tokens that are known to fit, as many of each row. */
export type Reading = {
  readonly rows: number;
  readonly maxLength: number;
  readonly vocabulary: number;
  /** Tokens read so far. */
  readonly length: () => number;
  readonly read: (tokens: readonly (readonly number[])[]) => Promise<PassOut>;
  readonly restart: () => void;
  readonly release: () => Promise<void>;
};

/** The decoder of a way to read: it checks what is to be read, and hands out logits row by row. */
export function decoderOf(reading: Reading): RowsDecoder {
  const { rows, maxLength, vocabulary, length, restart, release } = reading;
  let ffnInput: Float32Array | undefined;
  const readRows = async (tokens: readonly (readonly number[])[]): Promise<Float32Array[]> => {
    if (tokens.length !== rows) throw new RangeError(`read: expected tokens of ${rows} rows, got ${tokens.length}`);
    if (tokens.some((row) => row.length !== tokens[0]!.length)) {
      const lengths = tokens.map((row) => row.length).join(", ");
      throw new RangeError(`read: expected equally many tokens of each row, got ${lengths}`);
    }
    for (const row of tokens) requireTokens(row, length(), maxLength, vocabulary);
    const out = await reading.read(tokens);
    if (out.ffnInput !== undefined) ffnInput = await copyOf(out.ffnInput);
    const logits = await copyOf(out.logits);
    return tokens.map((_, row) => logits.slice(row * vocabulary, (row + 1) * vocabulary));
  };
  return {
    rows,
    maxLength,
    get length() {
      return length();
    },
    get ffnInput() {
      return ffnInput;
    },
    readRows,
    read: async (tokens) => (await readRows([tokens]))[0]!,
    restart,
    release,
  };
}

/** @throws RangeError when there are no tokens, too many, or some outside the vocabulary */
export function requireTokens(tokens: readonly number[], length: number, maxLength: number, vocabulary: number): void {
  if (tokens.length === 0) throw new RangeError("read: expected at least one token");
  requireRoom(length + tokens.length, maxLength);
  const wrong = tokens.find((token) => !(Number.isInteger(token) && token >= 0 && token < vocabulary));
  if (wrong !== undefined) throw new RangeError(`read: expected tokens of 0 … ${vocabulary - 1}, got ${wrong}`);
}

/** @throws RangeError when there would be more tokens than a decoder can read */
export function requireRoom(tokens: number, maxLength: number): void {
  if (tokens > maxLength) throw new RangeError(`read: ${tokens} tokens are more than maxLength ${maxLength}`);
}

/** What an array holds now: the next step may write into its memory. */
export async function copyOf(array: DeviceArray): Promise<Float32Array> {
  return Float32Array.from((await array.read()).data as Float32Array);
}
