import type { Tokenizer, TokenizerConfig } from "./tokenizer.ts";

/** Whether a word begins at each of some tokens, which stand beside each other in a text. */
export type WordStarts = (tokens: ArrayLike<number>) => boolean[];

/**
 * Tells which tokens begin words: what stands between white space; for WordPiece what its tokenizer takes for words, marks among them. White space
 * that is a token of its own begins something, too.
 */
export function wordStarts(tokenizer: Tokenizer): WordStarts {
  const { config } = tokenizer;
  if (config.kind === "word") return (tokens) => Array.from(tokens, () => true);
  const { begins, ends } = config.kind === "hugging-face" ? marksOfNames(config) : marksOfTexts(tokenizer);
  return (tokens) => Array.from(tokens, (token, t) => t === 0 || begins.has(token) || ends.has(tokens[t - 1]!));
}

/** Tokens that begin a word, and tokens behind which one begins. */
type Marks = { readonly begins: ReadonlySet<number>; readonly ends: ReadonlySet<number> };

function marksOfTexts({ vocabularySize, decode }: Tokenizer): Marks {
  const all = Array.from({ length: vocabularySize }, (_, token) => token);
  const spaces = new Set(all.filter((token) => /^\s+$/u.test(decode([token]))));
  return { begins: spaces, ends: spaces };
}

/** How vocabularies write white space: a space, line feed, tab and carriage return of byte-level BPE, and SentencePiece's space. */
const space = "[ĠĊĉč▁]";

function marksOfNames({ tokenizer }: Extract<TokenizerConfig, { kind: "hugging-face" }>): Marks {
  type Parts = {
    readonly model?: {
      readonly type?: string;
      readonly vocab?: Readonly<Record<string, number>> | readonly (readonly [name: string, score: number])[];
      readonly continuing_subword_prefix?: string;
    };
    readonly added_tokens?: readonly { readonly id: number }[];
  };
  const { model = {}, added_tokens: added = [] } = tokenizer as Parts;
  const { vocab = {}, type, continuing_subword_prefix: continuing = "##" } = model;
  const names: readonly (readonly [string, number])[] = Array.isArray(vocab)
    ? vocab.map(([name], id) => [name, id])
    : Object.entries(vocab as Readonly<Record<string, number>>);
  const special = added.map(({ id }) => id);
  const where = (isMeant: (name: string) => boolean) => names.flatMap(([name, id]) => (isMeant(name) ? [id] : []));
  if (type === "WordPiece")
    return { begins: new Set([...where((name) => !name.startsWith(continuing)), ...special]), ends: new Set() };
  const [first, last] = [new RegExp(`^${space}`, "u"), new RegExp(`${space}$`, "u")];
  return {
    begins: new Set([...where((name) => first.test(name)), ...special]),
    ends: new Set([...where((name) => last.test(name)), ...special]),
  };
}
