import * as z from "zod";
import { explain } from "../schema/explain.ts";

/** What rebuilds a tokenizer, for runs and exported models. */
export type TokenizerConfig =
  | { readonly kind: "byte" }
  | { readonly kind: "character"; readonly alphabet: string }
  /** The contents of `tokenizer.json` and `tokenizer_config.json`. */
  | { readonly kind: "hugging-face"; readonly tokenizer: object; readonly config: object };

/** Text to token numbers and back. */
export type Tokenizer = {
  readonly config: TokenizerConfig;
  readonly vocabularySize: number;
  encode(text: string): Int32Array;
  decode(tokens: ArrayLike<number>): string;
  /** Characters of a text that no token stands for, each once, in the order in which they come. */
  unknownIn(text: string): string[];
  /** The token that stands for what is unknown, where there is one: generation never writes it. */
  readonly unknownToken?: number;
};

/** What an unknown character, or a token outside the vocabulary, is shown as. */
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
      kind: z.literal("hugging-face"),
      tokenizer: z.record(z.string(), z.unknown()),
      config: z.record(z.string(), z.unknown()),
    }),
  ]),
});

/**
 * One token per Unicode code point: those of `text` in ascending order from 1 on; 0 stands for every other character.
 */
export function characterTokenizer(text: string): Tokenizer {
  const alphabet = alphabetOf(text);
  const tokenOf = new Map(alphabet.map((character, index) => [character.codePointAt(0)!, index + 1]));
  // Most characters have one unit, and looking them up in an array is much faster than in a map.
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

/** The tokenizer that a config describes. That of Hugging Face brings its library with it, which is loaded when it is wanted. */
export async function tokenizerFromConfig(config: TokenizerConfig): Promise<Tokenizer> {
  if (config.kind === "byte") return byteTokenizer();
  if (config.kind === "character") return characterTokenizer(config.alphabet);
  const { huggingFaceTokenizer } = await import("../io/hugging-face/tokenizer.ts");
  return huggingFaceTokenizer(config);
}

/**
 * A stored config, checked.
 *
 * @param source where it is stored, such as a path: the message begins with it
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
