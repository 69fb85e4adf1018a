import * as z from "zod";
import { explain } from "../schema/explain.ts";
import type { Tokenizer, TokenizerConfig } from "./tokenizer.ts";
import { wordTokenizer } from "./word.ts";

export type { Tokenizer, TokenizerConfig } from "./tokenizer.ts";
export { trainBpe } from "./train-bpe.ts";
export { trainWords, wordTokenizer } from "./word.ts";

/** Shown for unknown characters and for tokens outside the vocabulary. */
const replacement = "\ufffd";

const schema = z.strictObject({
  tokenizer: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("byte") }),
    z.strictObject({
      kind: z.literal("character"),
      alphabet: z.string().refine((alphabet) => alphabet !== "" && alphabet === alphabetOf(alphabet).join(""), {
        error: "expected characters in ascending order, each once",
      }),
    }),
    z.strictObject({
      kind: z.literal("word"),
      words: z
        .array(z.string().regex(/^\S+$/, "expected words without white space"))
        .refine((words) => new Set(words).size === words.length, { error: "expected each word once" }),
    }),
    z.strictObject({
      kind: z.literal("hugging-face"),
      tokenizer: z.record(z.string(), z.unknown()),
      config: z.record(z.string(), z.unknown()),
    }),
  ]),
});

/**
 * One token per Unicode code point: 1, 2, … for those of `text` in ascending order, 0 for every other character.
 */
export function characterTokenizer(text: string): Tokenizer {
  const alphabet = alphabetOf(text);
  const tokenOf = new Map(alphabet.map((character, index) => [character.codePointAt(0)!, index + 1]));
  // Most characters are one UTF-16 unit, and an array look-up is much faster than that of a map.
  const tokenOfUnit = Int32Array.from({ length: 0x10000 }, (_, unit) => tokenOf.get(unit) ?? 0);
  return {
    config: { kind: "character", alphabet: alphabet.join("") },
    vocabularySize: alphabet.length + 1,
    encode: (piece) => {
      const tokens = new Int32Array(piece.length);
      let count = 0;
      for (let i = 0; i < piece.length; i++) {
        const unit = piece.charCodeAt(i);
        if ((unit & 0xfc00) === 0xd800) {
          const code = piece.codePointAt(i)!;
          tokens[count++] = tokenOf.get(code) ?? 0;
          if (code > 0xffff) i++;
        } else tokens[count++] = tokenOfUnit[unit]!;
      }
      return count === tokens.length ? tokens : tokens.slice(0, count);
    },
    decode: (tokens) => Array.from(tokens, (token) => alphabet[token - 1] ?? replacement).join(""),
    unknownIn: (piece) => [...new Set(piece)].filter((character) => !tokenOf.has(character.codePointAt(0)!)),
    unknownToken: 0,
  };
}

/** One token per byte of UTF-8, so that nothing is unknown; `decode` shows incomplete sequences as U+FFFD. */
export function byteTokenizer(): Tokenizer {
  return {
    config: { kind: "byte" },
    vocabularySize: 256,
    encode: (piece) => new Int32Array(new TextEncoder().encode(piece)),
    decode: (tokens) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(tokens)),
    unknownIn: () => [],
  };
}

/** Builds the tokenizer of a config. The library for Hugging Face tokenizers is loaded on demand. */
export async function tokenizerFromConfig(config: TokenizerConfig): Promise<Tokenizer> {
  if (config.kind === "byte") return byteTokenizer();
  if (config.kind === "character") return characterTokenizer(config.alphabet);
  if (config.kind === "word") return wordTokenizer(config.words);
  const { huggingFaceTokenizer } = await import("./hugging-face.ts");
  return huggingFaceTokenizer(config);
}

/**
 * Checks a stored config.
 *
 * @param source where it is stored, such as a path: messages begin with it
 * @throws Error saying what is wrong with it
 */
export function readTokenizerConfig(data: unknown, source: string): TokenizerConfig {
  const result = schema.safeParse({ tokenizer: data }, { reportInput: true });
  if (result.success) return result.data.tokenizer;
  throw new Error(`${source}: ${explain(result.error, schema).join("; ")}`);
}

function alphabetOf(text: string): string[] {
  return [...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
}
