import { randomKey } from "@tsformers/engine";
import type { Decoder } from "./decoder.ts";
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
  const { count, seed = 0, endTokens = [], stopTokens = [], forbiddenTokens, signal } = options;
  checkSampling(options);
  if (!(count >= 0)) throw new RangeError(`generate: expected a count of 0 or more, got ${count}`);
  const key = randomKey(seed);
  const start = decoder.length;
  let logits = await decoder.read(prompt);
  for (let tokens = 0; tokens < count; ) {
    requireLogits(logits, `generate: after ${counted(tokens)}`, forbiddenTokens);
    const token = draw(logits, options, key, start + prompt.length + tokens);
    if (endTokens.includes(token)) return { ended: "end token", tokens };
    if (stopTokens.includes(token)) return { ended: "stop", tokens };
    yield token;
    tokens++;
    if (tokens >= count) break;
    if (decoder.length >= decoder.maxLength) return { ended: "positions", tokens };
    if (signal?.aborted) return { ended: "interrupted", tokens };
    logits = await decoder.read([token]);
  }
  return { ended: "count", tokens: count };
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
