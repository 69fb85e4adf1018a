import { randomKey } from "@tsformers/engine";
import type { Decoder } from "./decoder.ts";
import { checkSampling, type SamplingOptions, sample } from "./sampling.ts";

export type GenerateOptions = SamplingOptions & {
  /** How many tokens to generate at most. */
  readonly count: number;
  /** Draws the tokens; 0 unless told. */
  readonly seed?: number;
  /** Tokens that end the sequence; they are not given out. */
  readonly stopTokens?: readonly number[];
  /** The decoder's maxLength, where generation ends at the latest. */
  readonly maxLength: number;
};

/**
 * Reads a prompt, then draws token after token and gives out each as soon as it is there.
 *
 * @throws RangeError when the prompt is empty or does not fit
 */
export async function* generate(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number, void> {
  const { count, seed = 0, stopTokens = [], maxLength } = options;
  checkSampling(options);
  const key = randomKey(seed);
  const start = decoder.length;
  let logits = await decoder.read(prompt);
  for (let i = 0; i < count; i++) {
    const token = sample(logits, options, key, start + prompt.length + i);
    if (stopTokens.includes(token)) return;
    yield token;
    if (i === count - 1 || decoder.length >= maxLength) return;
    logits = await decoder.read([token]);
  }
}

export type TextOptions = GenerateOptions & {
  /** Texts that end the sequence; neither they nor anything behind them is given out. */
  readonly stop?: readonly string[];
};

/** What text generation needs of a tokenizer. */
export type TextCoder = { encode(text: string): ArrayLike<number>; decode(tokens: ArrayLike<number>): string };

/**
 * Text behind a prompt, piece by piece as it is generated. A piece that could still become a stop text, or a character
 * whose bytes are not all there, is held back until it is clear.
 */
export async function* generateText(
  decoder: Decoder,
  coder: TextCoder,
  prompt: string,
  options: TextOptions,
): AsyncGenerator<string, void> {
  const { stop = [] } = options;
  if (stop.some((text) => text === "")) throw new RangeError("generateText: a stop text cannot be empty");
  const before = Array.from(coder.encode(prompt));
  const offset = coder.decode(before).length;
  const tokens = [...before];
  let given = 0;
  for await (const token of generate(decoder, before, options)) {
    tokens.push(token);
    const text = coder.decode(tokens).slice(offset);
    const end = firstStop(text, stop);
    if (end !== undefined) {
      if (end > given) yield text.slice(given, end);
      return;
    }
    const clear = Math.max(given, text.length - unclear(text, stop));
    if (clear > given) yield text.slice(given, clear);
    given = clear;
  }
  const rest = coder.decode(tokens).slice(offset + given);
  if (rest !== "") yield rest;
}

function firstStop(text: string, stop: readonly string[]): number | undefined {
  const found = stop.map((one) => text.indexOf(one)).filter((at) => at >= 0);
  return found.length === 0 ? undefined : Math.min(...found);
}

/** How many characters at the end may still change or turn out to begin a stop text. */
function unclear(text: string, stop: readonly string[]): number {
  const incomplete = /\ufffd*$/.exec(text)![0].length;
  const whole = text.slice(0, text.length - incomplete);
  const begun = stop.map((one) => {
    for (let n = Math.min(one.length - 1, whole.length); n > 0; n--) if (whole.endsWith(one.slice(0, n))) return n;
    return 0;
  });
  return incomplete + Math.max(0, ...begun);
}
