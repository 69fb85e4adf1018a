import { existsSync, readFileSync } from "node:fs";
import { Tokenizer as Published } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { trainBpe } from "../../src/tokenizers/index.ts";
import { countWords, learnMerges } from "../../src/tokenizers/train-bpe.ts";

/** The characters that stand for bytes, written down from the description: printable ones stand for themselves. */
const characterOfByte = new Map<number, string>();
for (let byte = 0, others = 0; byte < 256; byte++) {
  const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  characterOfByte.set(byte, String.fromCharCode(isPrintable ? byte : 256 + others++));
}
const pattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Counts all pairs anew for each merge. */
function slowMerges(text: string, vocabularySize: number): string[][] {
  let words = [...text.matchAll(pattern)].map(([word]) =>
    Array.from(new TextEncoder().encode(word), (byte) => characterOfByte.get(byte)!),
  );
  const vocabulary = [...characterOfByte.values()].sort();
  const merges: string[][] = [];
  while (vocabulary.length < vocabularySize) {
    const counts = new Map<string, number>();
    for (const word of words)
      for (let i = 1; i < word.length; i++) {
        const pair = JSON.stringify([word[i - 1], word[i]]);
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    const most = Math.max(0, ...counts.values());
    if (most < 2) break;
    const place = (token: string): number => vocabulary.indexOf(token);
    const [best] = [...counts]
      .filter(([, count]) => count === most)
      .map(([pair]) => JSON.parse(pair) as [string, string])
      .sort(([a, b], [c, d]) => place(a) - place(c) || place(b) - place(d));
    const [left, right] = best!;
    merges.push([left, right]);
    vocabulary.push(left + right);
    words = words.map((word) => {
      const joined: string[] = [];
      for (const token of word) {
        if (token === right && joined.at(-1) === left && !spent.has(joined.length - 1)) {
          joined[joined.length - 1] = left + right;
          spent.add(joined.length - 1);
        } else joined.push(token);
      }
      spent.clear();
      return joined;
    });
  }
  return merges;
}
/** Places of a word where two tokens were joined in this round: they are not joined again. */
const spent = new Set<number>();

type Model = { readonly vocab: Record<string, number>; readonly merges: string[][] };
const modelOf = ({ config }: Awaited<ReturnType<typeof trainBpe>>): Model =>
  (config as unknown as { tokenizer: { model: Model } }).tokenizer.model;

describe("byte pair encoding", () => {
  it.each([
    ["pairs that overlap", "aaaa aaaaa aaaaaa aaaaaaa baaab"],
    ["words", "the thing that they thought then, this and those; the other the other the others".repeat(3)],
    ["characters of several bytes", "日本語の文 и русский текст 🙂🙂 👩‍👩‍👧 日本 naïve naïf".repeat(2)],
    ["lines", "one\r\ntwo\r\n\r\n  three\t\tfour\n\n\nfive \n".repeat(4)],
    ["equal counts everywhere", "abcdefgh hgfedcba abcdefgh hgfedcba"],
  ])("learns the merges of a slow trainer: %s", async (_, text) => {
    expect(modelOf(await trainBpe(text, { vocabularySize: 320 })).merges).toEqual(slowMerges(text, 320));
  });

  it("learns the merges of a slow trainer: any text", async () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c", " ", "é", "\n"), maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(letters, async (text) => {
        expect(modelOf(await trainBpe(text, { vocabularySize: 290 })).merges).toEqual(slowMerges(text, 290));
      }),
      { numRuns: 200 },
    );
  });

  it("learns the same, and gives the same tokens, as Python's library", async () => {
    const { text, vocabularySize, merges, vocabulary, tokens, other, otherTokens } = JSON.parse(
      readFileSync(new URL("../fixtures/tokenizers/trained-bpe.json", import.meta.url), "utf8"),
    );
    const tokenizer = await trainBpe(text, { vocabularySize });
    const { vocab, merges: own } = modelOf(tokenizer);
    expect(own).toEqual(merges);
    expect(Object.keys(vocab).sort((a, b) => vocab[a]! - vocab[b]!)).toEqual(vocabulary);
    expect([...tokenizer.encode(text)]).toEqual(tokens);
    expect([...tokenizer.encode(other)]).toEqual(otherTokens);
  });

  it("does not depend on the pieces in which words are counted", () => {
    const [whole, pieces] = [new Map<string, number>(), new Map<string, number>()];
    const text = "so the words of a text are the words of its lines\n".repeat(20);
    countWords(whole, text);
    for (const line of text.match(/.*\n/g)!) countWords(pieces, line);
    expect(learnMerges(pieces, 300)).toEqual(learnMerges(whole, 300));
  });

  it("has no more tokens than there are pairs that occur twice, and none but bytes for an empty text", async () => {
    expect((await trainBpe("abc", { vocabularySize: 1000 })).vocabularySize).toBe(256);
    expect((await trainBpe("", { vocabularySize: 1000 })).vocabularySize).toBe(256);
    expect((await trainBpe("ab ab", { vocabularySize: 1000 })).vocabularySize).toBe(257);
    expect((await trainBpe("ab ab", { vocabularySize: 256 })).vocabularySize).toBe(256);
  });
});

describe("a trained tokenizer", () => {
  const text = "It's 9 o'clock\r\nand we'll see: «naïve» 🙂 __proto__ __proto__ constructor constructor ".repeat(5);

  it("reads and writes any text without loss, and knows all of it", async () => {
    const tokenizer = await trainBpe(text, { vocabularySize: 350 });
    expect(tokenizer.vocabularySize).toBeGreaterThan(290);
    const anyText = fc.string({ unit: "binary", maxLength: 60 });
    const mixed = fc
      .array(
        fc.oneof(anyText, fc.constantFrom("\r\n", "\ufeff", "🙂", "👩‍👩‍👧", " 's", "  ", "naïve", "\u0000", "it's")),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(mixed, (given) => {
        const tokens = tokenizer.encode(given);
        expect(tokenizer.decode(tokens)).toBe(given);
        expect(tokenizer.unknownIn(given)).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(tokenizer.unknownToken).toBeUndefined();
  });

  it("encodes word by word what the library encodes at once", async () => {
    const tokenizer = await trainBpe(text, { vocabularySize: 350 });
    const { tokenizer: json } = tokenizer.config as { tokenizer: object } & typeof tokenizer.config;
    const published = new Published(JSON.parse(JSON.stringify(json)), {});
    const tricky = fc
      .array(
        fc.constantFrom("'", "'s", "'ll", " ", "  ", "\n", "\r\n", "word", "9", "é", "«", "🙂", "_", "constructor"),
      )
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(tricky, (given) => {
        expect([...tokenizer.encode(given)]).toEqual(published.encode(given, { add_special_tokens: false }).ids);
      }),
      { numRuns: 500 },
    );
  });

  const shakespeare = new URL("../../../../../shared/data/tinyshakespeare/input.txt", import.meta.url);
  if (!existsSync(shakespeare)) console.warn("skipped: ../shared/data/tinyshakespeare/input.txt is not here");
  it.skipIf(!existsSync(shakespeare))("shortens real text", async () => {
    const text = readFileSync(shakespeare, "utf8");
    const tokenizer = await trainBpe(text, { vocabularySize: 1000 });
    const tokens = tokenizer.encode(text);
    expect(tokenizer.vocabularySize).toBe(1000);
    expect(text.length / tokens.length).toBeGreaterThan(2.3);
    expect(tokenizer.decode(tokens)).toBe(text);
  });
});
