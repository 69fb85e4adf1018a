import { describe, expect, it } from "vitest";
import { readTokenizerConfig, tokenizerFromConfig, trainWords } from "../../src/tokenizers/index.ts";
import { countSpaced, countSpacedWords, frequentWords } from "../../src/tokenizers/word.ts";

const text = " = A heading = \n\n The cat , the dog and the <unk> cat .\n";

describe("word tokens", () => {
  const counts = new Map<string, number>();
  countSpaced(counts, text);
  const tokenizer = trainWords(text, { vocabularySize: 100 });

  it("are the most frequent words first, equal ones in order, after <unk> and the end of a line", () => {
    expect(tokenizer.config).toEqual({
      kind: "word",
      words: ["=", "cat", "the", ",", ".", "A", "The", "and", "dog", "heading"],
    });
    expect(tokenizer.vocabularySize).toBe(12);
    expect(frequentWords(counts, 4)).toEqual(["=", "cat"]);
    expect(frequentWords(counts, 2)).toEqual([]);
  });

  it("read each line's end and the text's own <unk>", () => {
    expect([...tokenizer.encode("the cat\n\n<unk> bird . \n")]).toEqual([4, 3, 1, 1, 0, 0, 6, 1]);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe("= A heading =\n\nThe cat , the dog and the <unk> cat .\n");
    expect(tokenizer.decode([])).toBe("");
  });

  it("write a beginning that does not change when more follows", () => {
    const tokens = [...tokenizer.encode(text)];
    const shown = tokens.map((_, i) => tokenizer.decode(tokens.slice(0, i + 1)));
    for (const one of shown) expect(shown.at(-1)!.startsWith(one)).toBe(true);
  });

  it("name unknown words, and not <unk> itself", () => {
    expect(tokenizer.unknownIn("the bird\n<unk> bird sings")).toEqual(["bird", "sings"]);
    expect(tokenizer.unknownToken).toBe(0);
  });

  it("count as words what they are", () => {
    expect(countSpacedWords(text)).toBe(tokenizer.encode(text).length);
  });

  it("come back from their stored form; one that is no list of words is refused", async () => {
    const stored = JSON.parse(JSON.stringify(tokenizer.config));
    const again = await tokenizerFromConfig(readTokenizerConfig(stored, "task.json"));
    expect(again.encode(text)).toEqual(tokenizer.encode(text));
    expect(() => readTokenizerConfig({ kind: "word", words: ["a", "a"] }, "task.json")).toThrow(/each word once/);
    expect(() => readTokenizerConfig({ kind: "word", words: ["a b"] }, "task.json")).toThrow(/without white space/);
  });
});
