import { randomKey } from "@tsformers/engine";
import { type Decoder, type RowsDecoder, requireRoom } from "./decoding.ts";
import { checkSampling, draw, requireLogits, type SamplingOptions } from "./sampling.ts";

/**
 * Why a sequence ended: `count`: as many tokens as asked for; `end token` or `stop`: a token or text that ends it; `positions`: the
 * decoder's `maxLength` was reached, which for learned positions is their number; `interrupted`: a signal.
 */
export type Ending = "count" | "end token" | "stop" | "positions" | "interrupted";

/** Result of a finished sequence. */
export type Written = { readonly ended: Ending /** How many were written. */; readonly tokens: number };

export type GenerateOptions = SamplingOptions & {
  /** The most tokens to generate. */
  readonly count: number;
  /** Seed of the drawing. Default: 0. */
  readonly seed?: number;
  /** Tokens with which the model itself ends a sequence; they are not yielded. Default: none. */
  readonly endTokens?: readonly number[];
  /** Further tokens that end the sequence; they are not yielded. Default: none. */
  readonly stopTokens?: readonly number[];
  /** Ends the sequence after the token that is being computed. */
  readonly signal?: AbortSignal;
};

/**
 * Reads a prompt, then draws tokens one by one and yields each at once. Its return value says why it ended.
 *
 * @throws RangeError when the prompt is empty or does not fit, or an option is invalid
 * @throws LogitsError when the model's logits stop being finite; the message says after how many tokens
 */
export async function* generate(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, Written> {
  const source = {
    rows: 1,
    maxLength: decoder.maxLength,
    get length() {
      return decoder.length;
    },
    readRows: async ([tokens]: readonly (readonly number[])[]) => [await decoder.read(tokens!)],
  };
  const rows = generateRows(source, [prompt], options);
  for (;;) {
    const next = await rows.next();
    if (next.done) return next.value[0]!;
    yield next.value.token;
  }
}

/** A token that was written in a row. */
export type RowToken = { readonly row: number; readonly token: number };

/**
 * Continues several prompts side by side, of any lengths, and yields each token at once. All rows stand at the same position: where
 * one still has tokens of its prompt, it takes those, while shorter ones already draw. So every row gets what its prompt alone would get, with any position scheme
 * and any mixer. What rows share is read in one pass: as many tokens as the shortest prompt has. Rows that have ended are filled up and wait for the others.
 *
 * @param prompts one for each row of the decoder
 * @returns why each row ended
 * @throws RangeError when a prompt is empty or does not fit, there are more or fewer than rows, or an option is invalid
 * @throws LogitsError when the model's logits stop being finite
 */
export async function* generateRows(
  decoder: Pick<RowsDecoder, "rows" | "length" | "maxLength" | "readRows">,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): AsyncGenerator<RowToken, Written[]> {
  const { count, seed = 0, endTokens = [], stopTokens = [], forbiddenTokens, signal } = options;
  checkSampling(options);
  if (!(count >= 0)) throw new RangeError(`generate: expected a count of 0 or more, got ${count}`);
  if (prompts.length !== decoder.rows)
    throw new RangeError(`generate: expected ${decoder.rows} prompts, one for each row, got ${prompts.length}`);
  const key = randomKey(seed);
  const start = decoder.length;
  for (const { length } of prompts) requireRoom(start + length, decoder.maxLength);
  const written = prompts.map(() => 0);
  const ended = prompts.map((): Ending | undefined => undefined);
  const end = (row: number, why: Ending) => {
    ended[row] ??= why;
  };
  const shortest = Math.min(...prompts.map(({ length }) => length));
  let logits = await decoder.readRows(prompts.map((prompt) => prompt.slice(0, shortest)));
  if (count === 0) return prompts.map(() => ({ ended: "count", tokens: 0 }));
  for (let at = shortest; ; at++) {
    const next = prompts.map(() => 0);
    for (const [row, prompt] of prompts.entries()) {
      if (ended[row] !== undefined) continue;
      if (at < prompt.length) {
        next[row] = prompt[at]!;
        continue;
      }
      requireLogits(logits[row]!, `generate: after ${counted(written[row]!)}`, forbiddenTokens);
      const token = draw(logits[row]!, options, key, start + at);
      if (endTokens.includes(token)) end(row, "end token");
      else if (stopTokens.includes(token)) end(row, "stop");
      else {
        yield { row, token };
        written[row]!++;
        next[row] = token;
        if (written[row]! >= count) end(row, "count");
      }
    }
    for (const row of prompts.keys()) {
      if (decoder.length >= decoder.maxLength) end(row, "positions");
      else if (signal?.aborted) end(row, "interrupted");
    }
    if (!ended.includes(undefined)) break;
    logits = await decoder.readRows(next.map((token) => [token]));
  }
  return prompts.map((_, row) => ({ ended: ended[row]!, tokens: written[row]! }));
}

/** Hands out every value of a generator. @returns what it ends with */
export async function drained<T, End>(source: AsyncGenerator<T, End>, onValue: (value: T) => void): Promise<End> {
  for (;;) {
    const next = await source.next();
    if (next.done) return next.value;
    onValue(next.value);
  }
}

/** `1 token`, `2 tokens` */
export function counted(tokens: number): string {
  return `${tokens} token${tokens === 1 ? "" : "s"}`;
}

export type TextOptions = GenerateOptions & {
  /** Texts that end the sequence; neither they nor anything after them is yielded. Default: none. */
  readonly stop?: readonly string[];
};

/** The parts of a tokenizer that text generation needs. */
export type TextCoder = {
  encode(text: string): ArrayLike<number>;
  decode(tokens: ArrayLike<number>): string;
  /** The characters of a text without a token. Absent if every character has one. */
  unknownIn?(text: string): string[];
  /** The token for unknown characters, which is never drawn. */
  readonly unknownToken?: number;
};

/** A prompt that a model cannot read. */
export class PromptError extends RangeError {
  override readonly name = "PromptError";
}

/**
 * Encodes a prompt. Characters unknown to the tokenizer become its unknown token; `unknownIn` lists them.
 *
 * @throws PromptError when the prompt is empty, or none of its characters is known
 */
export function encodePrompt(coder: TextCoder, prompt: string): number[] {
  const tokens = Array.from(coder.encode(prompt));
  if (tokens.length === 0) throw new PromptError("the prompt is empty; give at least one character");
  const unknown = coder.unknownIn?.(prompt) ?? [];
  if (unknown.length > 0 && unknown.length === new Set(prompt).size)
    throw new PromptError(`the model knows no character of the prompt; not in its alphabet: ${listed(unknown)}`);
  return tokens;
}

const mostListed = 20;

/** Characters as listed in a sentence: `A, "\n", €`; at most 20, then the number of the others. */
export function listed(characters: readonly string[]): string {
  const shown = characters
    .slice(0, mostListed)
    .map((one) => (/^[\p{L}\p{N}\p{P}\p{S}]$/u.test(one) ? one : JSON.stringify(one)));
  const more = characters.length - shown.length;
  return `${shown.join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
}

/**
 * Generates text after a prompt, and yields it piece by piece. Text that may still become part of a stop text, or a character
 * with missing bytes, is held back until it is decided.
 *
 * @throws RangeError, LogitsError as {@link encodePrompt} and {@link generate} do
 */
export async function* generateText(
  decoder: Decoder,
  coder: TextCoder,
  prompt: string,
  options: TextOptions,
): AsyncGenerator<string, Written> {
  const { unknownToken } = coder;
  const forbiddenTokens = [...(options.forbiddenTokens ?? []), ...(unknownToken === undefined ? [] : [unknownToken])];
  const before = encodePrompt(coder, prompt);
  return yield* textOf(generate(decoder, before, { ...options, forbiddenTokens }), coder, { ...options, before });
}

/** Number of earlier tokens that new ones are decoded with, since a token's text can depend on its neighbours. */
const contextTokens = 16;

/**
 * The text of tokens, yielded piece by piece as they arrive.
 *
 * @param options.before earlier tokens, where the others continue a text
 */
export async function* textOf(
  source: AsyncGenerator<number, Written>,
  coder: TextCoder,
  options: { readonly before?: readonly number[]; readonly stop?: readonly string[] } = {},
): AsyncGenerator<string, Written> {
  const { before = [], stop = [] } = options;
  if (stop.some((text) => text === "")) throw new RangeError("generate: a stop text cannot be empty");
  const tokens = before.slice(-contextTokens);
  let [from, read, settled, given, text] = [0, tokens.length, "", 0, ""];
  let count = 0;
  try {
    for (;;) {
      const next = await source.next();
      if (next.done) {
        if (given < text.length) yield text.slice(given);
        return next.value;
      }
      count++;
      tokens.push(next.value);
      const known = coder.decode(tokens.slice(from, read)).length;
      text = settled + coder.decode(tokens.slice(from)).slice(known);
      const end = firstStop(text, stop);
      if (end !== undefined) {
        if (end > given) yield text.slice(given, end);
        given = text.length;
        return (await source.return({ ended: "stop", tokens: count })).value as Written;
      }
      const clear = Math.max(given, text.length - unclear(text, stop));
      if (clear > given) yield text.slice(given, clear);
      given = clear;
      if (!text.endsWith("\ufffd")) [from, read, settled] = [read, tokens.length, text];
    }
  } catch (error) {
    if (given < text.length) yield text.slice(given);
    throw error;
  }
}

function firstStop(text: string, stop: readonly string[]): number | undefined {
  const found = stop.map((one) => text.indexOf(one)).filter((at) => at >= 0);
  return found.length === 0 ? undefined : Math.min(...found);
}

/** Number of characters at the end that may still change or become part of a stop text. */
function unclear(text: string, stop: readonly string[]): number {
  const incomplete = /\ufffd*$/.exec(text)![0].length;
  const whole = text.slice(0, text.length - incomplete);
  const begun = stop.map((one) => {
    for (let n = Math.min(one.length - 1, whole.length); n > 0; n--) if (whole.endsWith(one.slice(0, n))) return n;
    return 0;
  });
  return incomplete + Math.max(0, ...begun);
}
