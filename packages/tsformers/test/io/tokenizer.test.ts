import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { readTokenizer } from "../../src/io/hugging-face/companions.ts";
import { huggingFaceTokenizer, promptTokens } from "../../src/tokenizers/hugging-face.ts";

/** A tokenizer with what Python's `tokenizers` makes of texts. */
type Fixture = {
  readonly tokenizer: object;
  readonly config: object;
  readonly rows: readonly { text: string; tokens: number[]; prompt: number[]; decoded: string }[];
};

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../fixtures/tokenizers/${name}.json`, import.meta.url), "utf8")) as Fixture;
const made = ({ tokenizer, config }: Fixture) => huggingFaceTokenizer({ kind: "hugging-face", tokenizer, config });

describe.each(["byte-bpe", "word-piece", "unigram"])("%s", (name) => {
  const { rows, ...config } = fixture(name);
  const tokenizer = made({ rows, ...config });
  test.each(rows)("$text", ({ text, tokens, prompt, decoded }) => {
    expect([...tokenizer.encode(text)]).toEqual(tokens);
    expect([...promptTokens(tokenizer, text)]).toEqual(prompt);
    expect(tokenizer.decode(tokens)).toBe(decoded);
  });
});

describe("byte-level BPE", () => {
  const tokenizer = made(fixture("byte-bpe"));

  it("shows a character whose bytes are not all there as U+FFFD, and the same text before it", () => {
    const text = "see 🙂 日本";
    const tokens = [...tokenizer.encode(text)];
    const shown = tokens.map((_, i) => tokenizer.decode(tokens.slice(0, i + 1)));
    expect(shown.at(-1)).toBe(text);
    for (const one of shown) expect(text.startsWith(one.replace(/\ufffd+$/, ""))).toBe(true);
    expect(shown.some((one) => one.endsWith("\ufffd"))).toBe(true);
  });

  it("knows every text, though its settings name a token for what is unknown", () => {
    expect(tokenizer.unknownIn("𝄞 \u0000 ✓")).toEqual([]);
    expect(tokenizer.unknownToken).toBeUndefined();
  });

  it("shows a token beyond its vocabulary, as of a model with spare rows, as U+FFFD", () => {
    expect(tokenizer.decode([...tokenizer.encode("see"), tokenizer.vocabularySize + 3])).toBe("see\ufffd");
    expect(tokenizer.decode([])).toBe("");
  });
});

describe("what is unknown", () => {
  it("is named by its characters", () => {
    const tokenizer = made(fixture("unigram"));
    expect(tokenizer.unknownIn("hello 日 and 日本")).toEqual(["日", "本"]);
    expect(tokenizer.unknownToken).toBe(2);
  });

  it("is named by its words where each character is known", () => {
    const tokenizer = made(fixture("word-piece"));
    const long = "the".repeat(60);
    expect(tokenizer.unknownIn(`the ${long}`)).toEqual([long]);
  });
});

describe("files", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tokenizer-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (data: unknown) => writeFileSync(join(directory, "tokenizer.json"), JSON.stringify(data));

  it("are read without settings beside them", async () => {
    expect(await readTokenizer(directory)).toBeUndefined();
    write(fixture("byte-bpe").tokenizer);
    const found = (await readTokenizer(directory))!;
    expect(found.decode(found.encode("hello world"))).toBe("hello world");
  });

  test.each<[string, unknown, RegExp]>([
    ["a list", [], /tokenizer\.json: expected a JSON object/],
    ["no model", {}, /tokenizer\.json: model: expected the object of its model/],
    [
      "an unknown part",
      { ...fixture("byte-bpe").tokenizer, pre_tokenizer: { type: "Psychic" } },
      /tokenizer\.json: .*Psychic/,
    ],
  ])("%s is an error with the path", async (_, data, message) => {
    write(data);
    await expect(readTokenizer(directory)).rejects.toThrow(message);
  });
});

// The vocabulary of GPT-2 with texts that tiktoken encoded.
const published = fileURLToPath(new URL("../../../../../shared/weights/tokenizers/gpt2_bpe/", import.meta.url));
const absent = !existsSync(published);
if (absent) console.warn("published tokenizers: skipped, ../shared/weights/tokenizers is not there");

describe.skipIf(absent)("the vocabulary of GPT-2", () => {
  it("gives the tokens of every published example", () => {
    const file = (name: string) => readFileSync(published + name, "utf8");
    const merges = file("vocab.bpe").split("\n").slice(1).filter(Boolean);
    const tokenizer = huggingFaceTokenizer({
      kind: "hugging-face",
      tokenizer: {
        added_tokens: [{ id: 50_256, content: "<|endoftext|>", special: true, normalized: true }],
        pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
        decoder: { type: "ByteLevel" },
        model: { type: "BPE", vocab: JSON.parse(file("encoder.json")), merges },
      },
      config: {},
    });
    expect(tokenizer.vocabularySize).toBe(50_257);
    const examples = file("TestPlans.txt")
      .split(/\n(?=EncodingName: )/)
      .flatMap((example) => {
        const [, name, text, tokens] = /^EncodingName: (.*)\nSample: ([\s\S]*)\nEncoded: \[(.*)\]/.exec(example) ?? [];
        return name === "r50k_base" ? [{ text: text!, tokens: JSON.parse(`[${tokens}]`) as number[] }] : [];
      });
    expect(examples.length).toBeGreaterThan(3);
    for (const { text, tokens } of examples) {
      expect([...tokenizer.encode(text)], text).toEqual(tokens);
      expect(tokenizer.decode(tokens)).toBe(text);
    }
  });
});
