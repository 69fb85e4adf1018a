import { expect, test } from "vitest";
import { huggingFaceTokenizer } from "../../src/tokenizers/hugging-face.ts";
import {
  byteTokenizer,
  characterTokenizer,
  type Tokenizer,
  trainBpe,
  wordTokenizer,
} from "../../src/tokenizers/index.ts";
import { wordStarts } from "../../src/tokenizers/word-starts.ts";

const text = "To be, or\nnot to be:  är det så\t?";

/** The units that a tokenizer's words are: what is between the places where words begin. */
function unitsOf(tokenizer: Tokenizer, read: string): string[] {
  const tokens = [...tokenizer.encode(read)];
  const starts = wordStarts(tokenizer)(tokens);
  expect(starts).toHaveLength(tokens.length);
  const units: number[][] = [];
  tokens.forEach((token, t) => {
    if (starts[t]) units.push([token]);
    else units.at(-1)!.push(token);
  });
  return units.map((unit) => tokenizer.decode(unit).trim()).filter((unit) => unit !== "");
}

test("bytes, characters and byte pairs have words between white space", async () => {
  const bpe = await trainBpe("to be or not to be the question ".repeat(20), { vocabularySize: 270 });
  expect(bpe.encode("question").length).toBeGreaterThan(1);
  for (const tokenizer of [byteTokenizer(), characterTokenizer(text), bpe])
    expect(unitsOf(tokenizer, text)).toEqual(text.split(/\s+/));
});

test("each token of a word tokenizer is a word", () => {
  const tokenizer = wordTokenizer(["to", "be"]);
  expect(wordStarts(tokenizer)(tokenizer.encode("to be or\nto"))).toEqual([true, true, true, true, true]);
});

test("words of WordPiece begin without its mark, and marks of its tokens begin something", () => {
  const names = ["[UNK]", "[CLS]", "play", "##ing", "##s", ",", "words"];
  const tokenizer = huggingFaceTokenizer({
    kind: "hugging-face",
    tokenizer: {
      pre_tokenizer: { type: "BertPreTokenizer" },
      added_tokens: [{ id: 1, content: "[CLS]", special: true }],
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: Object.fromEntries(names.map((name, id) => [name, id])),
      },
    },
    config: {},
  });
  expect(tokenizer.classToken).toBe(1);
  const tokens = [...tokenizer.encode("playing, plays words")];
  expect(tokens).toEqual([2, 3, 5, 2, 4, 6]);
  expect(wordStarts(tokenizer)(tokens)).toEqual([true, false, true, true, false, true]);
  expect(wordStarts(tokenizer)([2, 1, 3])).toEqual([true, true, false]);
});

test("SentencePiece marks the beginning of words", () => {
  const vocab = ["<unk>", "▁to", "▁be", "com", "ing", "▁"].map((name, id) => [name, -id]);
  const config = { tokenizer: { model: { type: "Unigram", unk_id: 0, vocab } }, config: {} };
  const tokenizer = { config: { kind: "hugging-face", ...config } } as unknown as Tokenizer;
  expect(wordStarts(tokenizer)([3, 1, 2, 3, 4, 5, 3])).toEqual([true, true, true, false, false, true, true]);
});
