import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createTask } from "../../src/catalogue/tasks.ts";
import type { Task } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { readTextData, type TextDataContext } from "../../src/tasks/text/text-data.ts";
import { byteTokenizer, trainBpe } from "../../src/tokenizers/index.ts";

let folder: string;
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "text-splits-"));
  notes = [];
  vi.stubEnv("TSFORMERS_CACHE", join(folder, "cache"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const put = (name: string, data: string | Uint8Array): void => {
  const path = join(folder, "data", name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
};
const note = (line: string): void => void notes.push(line.replaceAll(folder, "."));
const options = { tokens: "byte", extensions: [".txt", ".md", ".tokens"] } as const;

/** The text of each split. */
async function splitsOf(more: object = {}, context: TextDataContext = {}): Promise<string[]> {
  const { tokenizer, tokenized } = await readTextData(
    { data: join(folder, "data"), ...options, ...more },
    { note, ...context },
  );
  return (["train", "valid", "test"] as const).map((split) => {
    const tokens = tokenized.splits[split];
    return tokenizer.decode(tokens.read(0, tokens.length));
  });
}

describe("splits by the names of files", () => {
  const layouts: [string, Record<string, string | Uint8Array>, string[]][] = [
    ["one file each", { "train.txt": "to learn", "valid.txt": "to choose", "test.txt": "to measure" }, []],
    [
      "WikiText",
      { "wiki.train.tokens": "to learn", "wiki.valid.tokens": "to choose", "wiki.test.tokens": "to measure" },
      [],
    ],
    [
      "WikiText in a folder",
      { "w/wiki.train.tokens": "to learn", "w/wiki.valid.tokens": "to choose", "w/wiki.test.tokens": "to measure" },
      [],
    ],
    [
      "folders",
      { "train/b.txt": "learn", "train/a/c.txt": "to", "dev/x.txt": "to choose", "test/test_1.txt": "to measure" },
      [],
    ],
    [
      "names, compressed, and others",
      {
        "train_b.txt.gz": gzipSync("learn"),
        "train_a.txt": "to",
        "val_1.txt": "to choose",
        "test-1.txt.gz": gzipSync("to measure"),
        "README.md": "about",
        "testing.txt": "no",
        "valid.md.bak": "no",
      },
      ["README.md", "testing.txt"],
    ],
  ];
  it.each(layouts)("are those files exactly: %s", async (_, files, others) => {
    for (const [name, text] of Object.entries(files)) put(name, text);
    for (const context of [{}, { memoryBytes: 0, pieceBytes: 9 }]) {
      const [train, valid, test] = await splitsOf({}, context);
      expect(train!.replace("\n", " ")).toBe("to learn");
      expect([valid, test]).toEqual(["to choose", "to measure"]);
    }
    const count = (word: string): number => Object.keys(files).filter((name) => name.includes(word)).length;
    const passed = others.length === 0 ? "" : `; passed over: ${others.join(", ")}`;
    expect(new Set(notes)).toEqual(
      new Set([`./data: split by the names of files: ${count("train")} train, 1 valid, 1 test${passed}`]),
    );
  });

  it("are taken only where all three are there, or the text is split by position", async () => {
    const text = "0123456789".repeat(10);
    put("train.txt", text);
    put("test.txt", text);
    const whole = `${text}\n${text}`;
    const byPosition = [whole.slice(0, 180), whole.slice(180, 190), whole.slice(190)];
    expect(await splitsOf()).toEqual(byPosition);
    expect(notes).toEqual(["./data: split by position, since no file is called valid"]);
    await expect(splitsOf({ splits: "names" })).rejects.toThrow(
      /data: splits: expected files or folders called train, valid and test, got 1 train, 0 valid, 1 test/,
    );
    put("valid.txt", text);
    notes = [];
    const all = [text, text, text].join("\n");
    expect(await splitsOf({ splits: "position" })).toEqual([all.slice(0, 271), all.slice(271, 286), all.slice(286)]);
    expect(notes).toEqual([]);
    expect(await splitsOf({ splits: "names" })).toEqual([text, text, text]);
  });

  it("say nothing for one file, or files without such names", async () => {
    put("a.txt", "0123456789".repeat(10));
    put("b.txt", "0123456789".repeat(10));
    await splitsOf();
    await readTextData({ data: join(folder, "data/a.txt"), ...options }, { note });
    expect(notes).toEqual([]);
  });

  it("refuse a split that is too short", async () => {
    for (const name of ["train", "valid", "test"]) put(`${name}.txt`, name === "valid" ? "x" : "enough text");
    await expect(splitsOf()).rejects.toThrow(
      /data: each split needs at least 2 characters, got 11 train, 1 valid, 11 test/,
    );
  });

  it("make the alphabet of the training files, and are told apart from others by fingerprint and token file", async () => {
    put("train.txt", "abcab".repeat(20));
    put("valid.txt", "abd".repeat(9));
    put("test.txt", "abc".repeat(9));
    const data = join(folder, "data");
    const of = async (splits: string, context = {}): Promise<Task> =>
      createTask("text", { data, splits, length: 4 }, { note, ...context });
    const [names, position] = [await of("names"), await of("position")];
    expect(names.tokenizer!.config).toEqual({ kind: "character", alphabet: "abc" });
    expect(notes.some((line) => line.includes('"d"'))).toBe(true);
    expect(names.fingerprint).not.toBe(position.fingerprint);
    const large = { memoryBytes: 0 };
    for (const splits of ["names", "position"])
      await readTextData({ data, ...options, splits } as never, { note, ...large });
    expect(readdirSync(join(folder, "cache"))).toHaveLength(2);
  });

  const novels = fileURLToPath(new URL("../../../../../shared/data/eltec_novels", import.meta.url));
  if (!existsSync(novels)) console.warn("skipped: ../shared/data/eltec_novels is not here");
  it.skipIf(!existsSync(novels))("are those of a folder of novels", async () => {
    const { tokenized } = await readTextData({ data: novels, ...options }, { note });
    expect(notes[0]).toMatch(/14 train, 2 valid, 2 test; passed over: SOURCE\.txt$/);
    expect([tokenized.documents!.train.length, tokenized.documents!.valid.length]).toEqual([14, 2]);
    expect(tokenized.splits.train.length).toBeGreaterThan(6e6);
  });
});

describe("splits by position", () => {
  it("end at 90 % and 95 % of the bytes, as those of enwik8 and text8, whatever the tokens are", async () => {
    const text = `${"é".repeat(300)}${"plain".repeat(60)}${"日本".repeat(50)}`;
    const bytes = Buffer.from(text);
    expect(bytes.length).toBe(1200);
    put("a.txt", text);
    // The end at 1140 falls into a character of three bytes, which is cut in no two: 600 + 300 + 3 n.
    const expected = [bytes.subarray(0, 1080), bytes.subarray(1080, 1140), bytes.subarray(1140)].map(String);
    expect(await splitsOf()).toEqual(expected);
    expect(await splitsOf({ tokens: "character" })).toEqual(expected);
    expect(await splitsOf({ tokens: "bpe", vocabulary: 300 })).toEqual(expected);
    put("a.txt", `x${text}`);
    const [train, valid, test] = await splitsOf({}, { pieceBytes: 16 });
    expect([train, valid, test].map((part) => Buffer.byteLength(part!))).toEqual([1078, 60, 63]);
  });
});

describe("tokens that are learned", () => {
  const text = "the cat saw the dog and the dog saw the cat\n".repeat(40);

  it("come from the training split only", async () => {
    put("train.txt", text);
    put("valid.txt", "zebra zebra zebra zebra\n".repeat(30));
    put("test.txt", text);
    const data = join(folder, "data");
    const bpe = await readTextData({ data, ...options, tokens: "bpe", vocabulary: 280 }, { note });
    expect(bpe.tokenizer.config).toEqual((await trainBpe(text, { vocabularySize: 280 })).config);
    const word = await readTextData({ data, ...options, tokens: "word" }, { note });
    expect(word.tokenizer.config).toEqual({ kind: "word", words: ["the", "cat", "dog", "saw", "and"] });
    expect(notes.at(-1)).toBe("./data: words without a token are read as <unk>: 80.0 % of valid, 0.0 % of test");
    const few = await readTextData({ data, ...options, tokens: "word", vocabulary: 3 }, { note });
    expect(few.tokenizer.config).toEqual({ kind: "word", words: ["the"] });
  });

  it("are told apart by fingerprint and token file", async () => {
    put("a.txt", text);
    const data = join(folder, "data");
    const choices = [
      { tokens: "bpe", vocabulary: 270 },
      { tokens: "bpe", vocabulary: 280 },
      { tokens: "word" },
      { tokens: "word", vocabulary: 4 },
      { tokens: "character" },
      { tokens: "byte" },
    ] as const;
    const prints = await Promise.all(
      choices.map(async (choice) => (await createTask("text", { data, ...choice })).fingerprint),
    );
    expect(new Set(prints).size).toBe(choices.length);
    for (const choice of [...choices, ...choices])
      await readTextData({ data, ...options, ...choice }, { note, memoryBytes: 0 });
    expect(readdirSync(join(folder, "cache"))).toHaveLength(choices.length);
  });

  it("are those of the built-in text, too", async () => {
    expect((await createTask("text", { tokens: "bpe", vocabulary: 300 })).vocabularySize).toBe(300);
    const { tokenizer } = await createTask("text", { tokens: "word" });
    expect(tokenizer!.config.kind).toBe("word");
    expect(tokenizer!.decode(tokenizer!.encode("Ada and Ben lost"))).toBe("Ada and Ben lost");
  });

  it("may come from a file, or a folder with one", async () => {
    const { config, vocabularySize } = await trainBpe(text, { vocabularySize: 270 });
    expect(vocabularySize).toBe(270);
    put("a.txt", text);
    const made = join(folder, "made");
    mkdirSync(made);
    for (const name of ["tokenizer.json", "mine.json"])
      writeFileSync(join(made, name), JSON.stringify((config as unknown as { tokenizer: object }).tokenizer));
    const data = join(folder, "data");
    const prints = [];
    for (const tokenizer of [made, join(made, "tokenizer.json"), join(made, "mine.json")]) {
      const task = await createTask("text", { data, tokenizer });
      expect(task.vocabularySize).toBe(270);
      prints.push(task.fingerprint);
      expect((await createTask("text", { tokenizer })).vocabularySize).toBe(270);
    }
    expect(new Set(prints).size).toBe(1);
    await expect(createTask("text", { data, tokenizer: data })).rejects.toThrow(/data\/tokenizer\.json: no such file/);
    writeFileSync(join(made, "mine.json"), "{}");
    await expect(createTask("text", { data, tokenizer: join(made, "mine.json") })).rejects.toThrow(/mine\.json/);
  });

  it.each([
    [{ vocabulary: 300 }, /vocabulary: tokens character has the size that it has/],
    [{ tokens: "byte", vocabulary: 300 }, /vocabulary: tokens byte/],
    [{ tokens: "bpe", vocabulary: 255 }, /at least 256 tokens, got 255/],
    [{ tokens: "bpe", tokenizer: "x" }, /leave tokens out/],
    [{ vocabulary: 9, tokenizer: "x" }, /leave vocabulary out/],
    [{ splits: "names" }, /splits: names are those of files; give data/],
  ])("%j is refused", async (settings, message) => {
    await expect(createTask("text", settings)).rejects.toThrow(message);
  });
});

describe("figures of text", () => {
  const text = "äö is two\nwords 🙂 ".repeat(40);
  const totalNats = 100;
  const of = (task: Task, tokens: number): Record<string, number> =>
    Object.fromEntries(
      task.metrics.map((metric) => [
        metric.name,
        metric.value({ lossSum: totalNats, tokens, correct: 0, rows: 1, exactRows: 0 }),
      ]),
    );

  it("compare whatever tokens are: the same loss of the whole text is the same per character, byte and word", async () => {
    const bytes = Buffer.from(text);
    const evaluated = bytes.subarray(Math.floor(bytes.length * 0.9)).toString();
    const tokenizers = [byteTokenizer(), await trainBpe(text, { vocabularySize: 280 })];
    for (const tokenizer of tokenizers) {
      const task = textTask({ text, tokenizer: () => tokenizer, length: 8 });
      const counts = ["valid", "test"].map((split) => {
        const batches = task.views.next.evalBatches(split as "valid", { batchSize: 1, length: 8 });
        return [...batches].flatMap(({ weights }) => weights.toNumbers()).reduce((a, b) => a + b) + 1;
      });
      const tokens = counts[0]! + counts[1]!;
      const figures = of(task, tokens);
      expect(figures.loss).toBeCloseTo(totalNats / tokens, 10);
      expect(figures.perplexity).toBeCloseTo(Math.exp(totalNats / tokens), 10);
      expect(figures.bitsPerByte).toBeCloseTo(totalNats / Math.LN2 / Buffer.byteLength(evaluated), 10);
      expect(figures.bitsPerCharacter).toBeCloseTo(totalNats / Math.LN2 / [...evaluated].length, 10);
      // Between the splits a word may be cut in two.
      const words = evaluated.split(/[^\S\n]+|(?=\n)|(?<=\n)/).filter((word) => word !== "").length;
      expect(totalNats / Math.log(figures.wordPerplexity!)).toBeGreaterThanOrEqual(words - 1e-6);
      expect(totalNats / Math.log(figures.wordPerplexity!)).toBeLessThanOrEqual(words + 1 + 1e-6);
    }
  });

  it("rank by bits per character, and have a perplexity per word that is that of word tokens", async () => {
    const task = await createTask("text", { tokens: "word" });
    expect(task.metrics[1]!.name).toBe("bitsPerCharacter");
    const figures = of(task, 77);
    expect(figures.wordPerplexity).toBeCloseTo(figures.perplexity!, 2);
  });
});
