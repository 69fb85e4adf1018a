import { Tokenizer as Published } from "@huggingface/tokenizers";
import { present } from "../schema/present.ts";
import { wordsOf } from "./byte-level.ts";
import type { Tokenizer, TokenizerConfig } from "./tokenizer.ts";

/** The contents of a checkpoint's `tokenizer.json` and `tokenizer_config.json`. */
export type HuggingFaceTokenizerConfig = Extract<TokenizerConfig, { kind: "hugging-face" }>;

/** Shown for tokens outside the vocabulary. */
const replacement = "\ufffd";

/**
 * The tokenizer of a checkpoint: byte-level BPE, unigram, WordPiece and everything else the library supports. `encode` leaves out the
 * special tokens around a text, which {@link promptTokens} adds. `decode` leaves them out as well, and shows characters with missing
 * bytes as U+FFFD.
 *
 * @throws Error naming a part that the library does not support
 */
export function huggingFaceTokenizer(config: HuggingFaceTokenizerConfig): Tokenizer {
  const published = openOnce(config);
  const ids = [...published.get_vocab(true).values()];
  const known = new Set(ids);
  const unknown = unknownTokenOf(config, published);
  const encodeWhole = (text: string): number[] =>
    published.encode(text, { add_special_tokens: false }).ids.filter((id?: number) => id !== undefined);
  const encodeFast = isPlainByteLevel(config) ? wordByWord(encodeWhole) : encodeWhole;
  const encode = (text: string) => Int32Array.from(encodeFast(text));
  const options = { skip_special_tokens: true, clean_up_tokenization_spaces: isCleaned(config) };
  const decodeRun = (tokens: number[]) => (tokens.length === 0 ? "" : published.decode(tokens, options));
  return {
    config,
    vocabularySize: ids.reduce((most, id) => Math.max(most, id + 1), 0),
    encode,
    decode: (tokens) => runsOf(tokens, known).map(decodeRun).join(replacement),
    unknownIn: (text) => (unknown === undefined ? [] : unknownPieces(text, (piece) => encode(piece).includes(unknown))),
    ...present({
      unknownToken: unknown,
      maskToken: namedToken(config, published, "mask_token", ["[MASK]", "<mask>"]),
      classToken: namedToken(config, published, "cls_token", ["[CLS]"]),
      separatorToken: namedToken(config, published, "sep_token", ["[SEP]"]),
    }),
  };
}

/**
 * The tokens of a whole text with the special tokens that the tokenizer's post-processor adds, such as one that begins every text, or
 * one that ends a source.
 */
export function promptTokens(tokenizer: Tokenizer, text: string): Int32Array {
  const { config } = tokenizer;
  if (config.kind !== "hugging-face") return tokenizer.encode(text);
  return Int32Array.from(
    openOnce(config)
      .encode(text)
      .ids.filter((id?: number) => id !== undefined),
  );
}

/** Whether a text is only split into the words of {@link wordsOf}, and each of them encoded by itself. */
function isPlainByteLevel({ tokenizer, config }: HuggingFaceTokenizerConfig): boolean {
  type Parts = {
    readonly normalizer?: unknown;
    readonly pre_tokenizer?: { type?: unknown; add_prefix_space?: unknown; use_regex?: unknown } | null;
    readonly added_tokens?: readonly unknown[];
    readonly model?: { type?: unknown };
  };
  const { normalizer, pre_tokenizer: words, added_tokens: added = [], model } = tokenizer as Parts;
  const { remove_space, do_lowercase_and_remove_accent } = config as Record<string, unknown>;
  return (
    (normalizer ?? null) === null &&
    words?.type === "ByteLevel" &&
    words.add_prefix_space === false &&
    words.use_regex !== false &&
    added.length === 0 &&
    model?.type === "BPE" &&
    remove_space !== true &&
    do_lowercase_and_remove_accent !== true
  );
}

/** Longer words are rare; and as parts of a text they would keep all of it in memory. */
const longestKept = 12;
const mostKept = 2 ** 18;

/** Encodes a text word by word and keeps the tokens of short words, which is several times as fast. */
function wordByWord(encode: (text: string) => number[]): (text: string) => number[] {
  const kept = new Map<string, readonly number[]>();
  const tokensOf = (word: string): readonly number[] => {
    if (word.length > longestKept) return encode(word);
    const known = kept.get(word);
    if (known !== undefined) return known;
    const tokens = encode(word);
    if (kept.size === mostKept) kept.clear();
    kept.set(word, tokens);
    return tokens;
  };
  return (text) => {
    const all: number[] = [];
    for (const word of wordsOf(text)) for (const token of tokensOf(word)) all.push(token);
    return all;
  };
}

const opened = new WeakMap<HuggingFaceTokenizerConfig, Published>();

function openOnce(config: HuggingFaceTokenizerConfig): Published {
  const published = opened.get(config) ?? open(config);
  opened.set(config, published);
  return published;
}

/** The library expects every part to be present, and added tokens as a list. */
function open({ tokenizer, config }: HuggingFaceTokenizerConfig): Published {
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [] };
  return new Published({ ...parts, ...tokenizer }, config);
}

function isCleaned({ config }: HuggingFaceTokenizerConfig): boolean {
  return (config as { clean_up_tokenization_spaces?: unknown }).clean_up_tokenization_spaces === true;
}

/** The unknown token of the model itself: `tokenizer_config.json` also names tokens that the model never produces for unknown text. */
function unknownTokenOf({ tokenizer }: HuggingFaceTokenizerConfig, published: Published): number | undefined {
  const { model } = tokenizer as { model?: { unk_token?: unknown; unk_id?: unknown } };
  if (typeof model?.unk_id === "number") return model.unk_id;
  return typeof model?.unk_token === "string" ? published.token_to_id(model.unk_token) : undefined;
}

/** As `tokenizer_config.json` names it, or by one of its usual names. */
function namedToken(
  { config }: HuggingFaceTokenizerConfig,
  published: Published,
  role: string,
  usual: readonly string[],
): number | undefined {
  const named = (config as Readonly<Record<string, unknown>>)[role];
  const own = typeof named === "object" && named !== null ? (named as { content?: unknown }).content : named;
  const names = typeof own === "string" ? [own] : usual;
  return names.map((name) => published.token_to_id(name)).find((id) => id !== undefined);
}

/** Characters that are unknown by themselves, or words that are unknown only as a whole. */
function unknownPieces(text: string, isUnknown: (piece: string) => boolean): string[] {
  if (!isUnknown(text)) return [];
  const characters = [...new Set(text)].filter(isUnknown);
  return characters.length > 0 ? characters : [...new Set(text.split(/\s+/))].filter(isUnknown);
}

/** Runs of tokens between those outside the vocabulary. */
function runsOf(tokens: ArrayLike<number>, known: ReadonlySet<number>): number[][] {
  const runs: number[][] = [[]];
  for (const token of Array.from(tokens)) {
    if (known.has(token)) runs.at(-1)!.push(token);
    else runs.push([]);
  }
  return runs;
}
