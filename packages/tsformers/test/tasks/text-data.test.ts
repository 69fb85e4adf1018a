import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";

import { afterEach, beforeEach, describe, expect, it, test, vi } from "vitest";
import { createTask } from "../../src/catalogue/tasks.ts";
import { readText } from "../../src/io/read-text.ts";
import type { Batch, Task, TaskView } from "../../src/tasks/task.ts";
import { documentTokens } from "../../src/tasks/text/document-tokens.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { type TextDataContext, textDataTask } from "../../src/tasks/text/text-data.ts";
import { cacheFolder } from "../../src/tasks/text/token-file.ts";
import { huggingFaceTokenizer } from "../../src/tokenizers/hugging-face.ts";
import { byteTokenizer, characterTokenizer, type Tokenizer } from "../../src/tokenizers/index.ts";

let folder: string;
let cache: string;
let notes: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "text-data-"));
  cache = join(folder, "made/on/demand");
  notes = [];
  vi.stubEnv("TSFORMERS_CACHE", cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Everything lies on disk, and pieces are so small that characters, pairs and splits straddle them. */
const large = { memoryBytes: 0, pieceBytes: 9 } as const;

const put = (name: string, data: string | Uint8Array): string => {
  const path = join(folder, "data", name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, data);
  return path;
};
const make = (data: string, context: TextDataContext = {}, options: object = {}): Promise<Task> =>
  textDataTask(
    { data, tokens: "character", extensions: [".txt", ".md"], length: 7, seed: 5, ...options },
    { note: (line) => notes.push(line), ...context },
  );
const cached = (): string[] => readdirSync(cache);
/** Bytes of a token file behind its tokens, with one document in each split. */
const ending = 3 * 8 + 12 * 8;
const plain = ({ inputs, targets, weights }: Batch): number[][] => [inputs, targets, weights].map((a) => a.toNumbers());

const nextOf = (task: Task): TaskView<Batch> => task.views.next!;

function expectSame(task: Task, other: Task): void {
  expect(task.fingerprint).toBe(other.fingerprint);
  expect(task.tokenizer?.config).toEqual(other.tokenizer?.config);
  expect(task.vocabularySize).toBe(other.vocabularySize);
  const totals = { lossSum: 1, tokens: 1, correct: 0, rows: 1, exactRows: 0 };
  expect(task.metrics.map((metric) => metric.value(totals))).toEqual(
    other.metrics.map((metric) => metric.value(totals)),
  );
  for (const step of [1, 2, 3]) {
    for (const length of [1, 7, 40]) {
      expect(plain(nextOf(task).trainBatch(step, 16, length))).toEqual(
        plain(nextOf(other).trainBatch(step, 16, length)),
      );
    }
  }
  for (const split of ["valid", "test"] as const) {
    const options = { batchSize: 3, length: 5 };
    expect(Array.from(nextOf(task).evalBatches(split, options), plain)).toEqual(
      Array.from(nextOf(other).evalBatches(split, options), plain),
    );
  }
}

const words = Array.from({ length: 200 }, (_, n) => `${n} naïve 😀${"€".repeat(n % 4)}\n`).join("");

describe("a text on disk", () => {
  it.each(["character", "byte"] as const)(
    "has the tokens and batches of the same text in memory: %s",
    async (tokens) => {
      const tokenizer = tokens === "byte" ? byteTokenizer : characterTokenizer;
      put("b.txt", Buffer.from(`\ufeff${words}`, "utf16le"));
      put("a.md", `\ufeff${words}`);
      put("c.txt", "😀".repeat(300));
      const data = join(folder, "data");
      const expected = textTask({ text: readText(data), tokenizer, length: 7, seed: 5 });
      expectSame(await make(data, {}, { tokens }), expected);
      expect(() => cached()).toThrow(/ENOENT/);
      expectSame(await make(data, large, { tokens }), expected);
      expect(cached()).toHaveLength(1);
      expectSame(await make(data, large, { tokens }), expected);
      expectSame(await createTask("text", { data, tokens, length: 7, seed: 5 }), expected);
    },
  );

  // Every length modulo 20, so that the ends of splits fall before, after and within pairs.
  it.each(Array.from({ length: 20 }, (_, n) => n))(
    "is split where it is in memory, %i units from a round number",
    async (n) => {
      const text = `${"x".repeat(n)}${"😀é".repeat(40)}y${"😀".repeat(60)}`;
      const data = put("x.txt", text);
      const tasks = [textTask({ text, tokenizer: characterTokenizer, seed: 5, length: 7 }), await make(data, large)];
      const tokens = tasks.map((task) =>
        (["valid", "test"] as const).map((split) =>
          Array.from(nextOf(task).evalBatches(split, { batchSize: 1, length: 1 }), plain),
        ),
      );
      expect(tokens[1]).toEqual(tokens[0]);
      expect(tasks[1]!.tokenizer?.config).toEqual(tasks[0]!.tokenizer?.config);
      const [inMemory, onDisk] = tasks.map((task) => plain(nextOf(task).trainBatch(1, 4, 100)));
      expect(onDisk).toEqual(inMemory);
    },
  );

  it.each([
    ["right behind", `${"x".repeat(90)}z${"x".repeat(9)}`],
    ["across", `${"x".repeat(89)}😀${"x".repeat(9)}`],
  ])("has no token for a character that comes first %s the end of the training split", async (_, text) => {
    const task = await make(put("x.txt", text), large);
    expect(task.tokenizer?.config).toEqual({ kind: "character", alphabet: "x" });
    expect(notes).toHaveLength(1);
  });

  it("takes one, two or four bytes a token", async () => {
    const alphabet = (size: number): string =>
      String.fromCodePoint(...Array.from({ length: size }, (_, i) => 0x4e00 + i));
    for (const [size, bytes] of [
      [255, 1],
      [256, 2],
    ] as const) {
      const text = alphabet(size).repeat(4);
      const data = put(`${size}.txt`, text);
      const task = await make(data, large);
      expectSame(task, textTask({ text, tokenizer: characterTokenizer, length: 7, seed: 5 }));
      const sizes = cached().map((name) => readFileSync(join(cache, name)).length - ending);
      expect(sizes).toContain(4 * size * bytes);
    }
    const wide: Tokenizer = { ...byteTokenizer(), vocabularySize: 2 ** 16 + 1 };
    const text = "plain words ".repeat(30);
    const task = await make(put("wide.txt", text), {
      ...large,
      tokenizer: { ...wide, config: { kind: "character", alphabet: "a" } },
    });
    expect(cached().map((name) => readFileSync(join(cache, name)).length - ending)).toContain(4 * text.length);
    expect(wide.decode(nextOf(task).trainBatch(1, 1).inputs.toNumbers())).toMatch(/^[a-z ]{7}$/);
  });

  it("is found again by its content and its tokenizer, whatever it is called", async () => {
    await make(put("a.txt", words), large);
    await make(put("b.txt", words), large, { seed: 9, length: 3 });
    expect(cached()).toHaveLength(1);
    await make(put("c.txt", `\n${words}`), large);
    await make(put("a.txt", words), large, { tokens: "byte" });
    expect(cached()).toHaveLength(3);
    expect(notes).toEqual([]);
  });

  it("is made anew when its file is cut off, altered anywhere, renamed or empty", async () => {
    const data = put("a.txt", words);
    const expected = await make(data, large);
    const [name] = cached();
    const path = join(cache, name!);
    const whole = readFileSync(path);
    await make(put("b.txt", `${words}!`), large);
    const other = readFileSync(join(cache, cached().find((found) => found !== name)!));
    const altered = (at: number): Buffer => {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1;
      return bytes;
    };
    const damaged: Uint8Array[] = [
      whole.subarray(0, -1),
      whole.subarray(8),
      Buffer.alloc(0),
      Buffer.alloc(whole.length),
      other,
    ];
    damaged.push(altered(0), altered(whole.length - ending - 4), altered(whole.length - ending + 4));
    damaged.push(altered(whole.length - 1), altered(whole.length - 33));
    for (const bytes of damaged) {
      writeFileSync(path, bytes);
      notes = [];
      expectSame(await make(data, large), expected);
      expect(notes).toEqual([`${path}: damaged; it is made anew`]);
      expect(readFileSync(path).equals(whole)).toBe(true);
    }
  });

  it("goes on being read when its file is removed, and is made by two at once", async () => {
    const data = put("a.txt", words);
    const expected = textTask({ text: words, tokenizer: characterTokenizer, length: 7, seed: 5 });
    const tasks = await Promise.all([make(data, large), make(data, large), make(data, large)]);
    expect(cached()).toHaveLength(1);
    rmSync(cache, { recursive: true });
    for (const task of tasks) expectSame(task, expected);
  });

  it("leaves nothing when it fails, and removes what killed processes left an hour ago", async () => {
    mkdirSync(cache, { recursive: true });
    const left = [".a.tokens.1-00.tmp", ".b.tokens.2-00.tmp", "kept.tmp"].map((name) => join(cache, name));
    for (const path of left) writeFileSync(path, "x");
    for (const path of [left[0]!, left[2]!]) utimesSync(path, new Date(0), new Date(0));
    const tokenizer: Tokenizer = {
      ...byteTokenizer(),
      encode: () => {
        throw new Error("no more");
      },
    };
    await expect(make(put("a.txt", words), { ...large, tokenizer })).rejects.toThrow("no more");
    expect(cached().sort()).toEqual([".b.tokens.2-00.tmp", "kept.tmp"]);
  });

  it("says which folder cannot be written and how to name another", async () => {
    const data = put("a.txt", words);
    for (const impossible of [data, join(data, "below"), "/proc/nothing/here"]) {
      vi.stubEnv("TSFORMERS_CACHE", impossible);
      await expect(make(data, large)).rejects.toThrow(
        /tokens of a large text are kept here, which failed .*TSFORMERS_CACHE/,
      );
    }
  });

  it("is refused when it changes between its two readings", async () => {
    const data = put("a.txt", words);
    let changes = 0;
    const tokenizer: Tokenizer = {
      ...byteTokenizer(),
      encode: (text) => {
        if (changes++ === 0) writeFileSync(data, words.replaceAll("naïve", "naiv"));
        return byteTokenizer().encode(text);
      },
    };
    for (const memoryBytes of [0, 1e6]) {
      writeFileSync(data, words);
      changes = 0;
      const context = { tokenizer, memoryBytes, pieceBytes: 64 };
      await expect(make(data, context)).rejects.toThrow(/a\.txt: the text changed while it was read/);
    }
  });
});

/** A stretch of tokens that one row reads in one batch, and whether what it remembers is forgotten before. */
type Read = { readonly inputs: string; readonly target: string; readonly fresh: boolean };

const readsOf = (task: Task, batches: Iterable<Batch>, row = 0): Read[] =>
  Array.from(batches, ({ inputs, targets, weights, fresh }) => {
    const width = inputs.shape[1]!;
    const own = (array: { toNumbers(): number[] }): number[] => array.toNumbers().slice(row * width, (row + 1) * width);
    const count = own(weights).filter((weight) => weight === 1).length;
    return {
      inputs: task.tokenizer!.decode(own(inputs).slice(0, count)),
      target: task.tokenizer!.decode(own(targets).slice(Math.max(count - 1, 0), count)),
      fresh: fresh!.toNumbers()[row] === 1,
    };
  }).filter(({ inputs }) => inputs !== "");

describe("the documents of a folder", () => {
  /** Files in which every character is another one, so that what is read says where it is from. */
  const sizes = [70, 1, 0, 300, 9, 2, 0, 33, 450, 12, 11, 3, 20, 1, 25, 0];
  const letters = (from: number, count: number): string =>
    String.fromCodePoint(...Array.from({ length: count }, (_, i) => 0x4e00 + from + i));
  const texts = sizes.map((size, i) =>
    letters(
      sizes.slice(0, i).reduce((a, b) => a + b, 0),
      size,
    ),
  );
  const whole = texts.join("\n");
  const ends = texts.map((_, i) => texts.slice(0, i + 1).join("\n").length + 1);
  const documentAt = (place: number): number => ends.findIndex((end) => place < end);
  const place = ({ inputs, target }: Read): [from: number, to: number] => {
    const from = whole.indexOf(inputs + target);
    expect(from).toBeGreaterThanOrEqual(0);
    return [from, from + inputs.length];
  };
  const sizes8 = [...whole].map((character) => Buffer.byteLength(character));
  /** How many characters fit whole into a share of the bytes. */
  const charactersIn = (share: number): number => {
    const most = Math.floor(Buffer.byteLength(whole) * share);
    let [count, bytes] = [0, 0];
    while (bytes + sizes8[count]! <= most) bytes += sizes8[count++]!;
    return count;
  };
  const splits = { train: 0, valid: charactersIn(0.9), test: charactersIn(0.95) };
  const begins = (from: number): boolean => ends.includes(from) || Object.values(splits).includes(from);
  const folderTask = (context: TextDataContext): Promise<Task> => {
    for (const [i, text] of texts.entries()) put(`${String(i).padStart(2, "0")}.txt`, text);
    return make(join(folder, "data"), { tokenizer: characterTokenizer(whole), ...context });
  };

  it.each([
    ["in memory", {}],
    ["in a token file", large],
    ["in a token file that was there", large],
  ])("are never joined, and memories begin anew with each: %s", async (name, context) => {
    if (name.endsWith("there")) await folderTask(context);
    const task = await folderTask(context);
    const { segments } = task.views as { segments: TaskView<Batch> };
    for (const split of ["valid", "test"] as const) {
      for (const length of [1, 5, 20]) {
        const reads = readsOf(task, segments.evalBatches(split, { batchSize: 1, length }));
        for (const read of reads) {
          const [from, to] = place(read);
          expect(documentAt(from)).toBe(documentAt(to));
          expect(read.fresh).toBe(begins(from));
        }
        const end = split === "valid" ? splits.test : whole.length;
        const predicted = Array.from({ length: end - splits[split] }, (_, i) => splits[split] + i).filter(
          (at) => !begins(at),
        );
        expect(reads.map(({ inputs }) => inputs.length).reduce((a, b) => a + b)).toBe(predicted.length);
      }
    }
    for (const row of [0, 1, 2]) {
      const batches = Array.from({ length: 300 }, (_, i) => segments.trainBatch(i + 1, 3, 10));
      let end: number | undefined;
      let documents = 0;
      for (const read of readsOf(task, batches, row)) {
        const [from, to] = place(read);
        expect(documentAt(from)).toBe(documentAt(to));
        if (from !== end) expect(read.fresh).toBe(true);
        if (!read.fresh) expect(documentAt(from)).toBe(documentAt(end!));
        if (read.fresh) documents++;
        end = to;
      }
      expect(documents).toBeGreaterThan(10);
    }
  });

  it("change nothing for rows that begin anywhere, and no fingerprint", async () => {
    const expected = textTask({ text: whole, tokenizer: () => characterTokenizer(whole), length: 7, seed: 5 });
    for (const context of [{}, large]) {
      const task = await folderTask(context);
      expectSame(task, expected);
      const { masked } = task.views;
      expect(masked!.trainBatch(3, 4, 30)).toEqual(expected.views.masked.trainBatch(3, 4, 30));
    }
  });

  it("are one for a single file", async () => {
    const data = put("one.txt", whole);
    const expected = textTask({ text: whole, tokenizer: () => characterTokenizer(whole), length: 7, seed: 5 });
    for (const context of [{}, large]) {
      const task = await make(data, { tokenizer: characterTokenizer(whole), ...context });
      for (const step of [1, 2, 70]) {
        expect(task.views.segments!.trainBatch(step, 3)).toEqual(expected.views.segments.trainBatch(step, 3));
      }
      const reads = readsOf(task, task.views.segments!.evalBatches("valid", { batchSize: 1, length: 6 }));
      expect(reads.map(({ fresh }) => fresh)).toEqual(reads.map((_, i) => i === 0));
    }
  });

  it("are told apart where the text is the same: each has its own token file", async () => {
    const task = await folderTask(large);
    rmSync(join(folder, "data"), { recursive: true });
    const alone = await make(put("all.txt", whole), { tokenizer: characterTokenizer(whole), ...large });
    expect(cached()).toHaveLength(2);
    const fresh = (task: Task): number =>
      readsOf(task, task.views.segments!.evalBatches("test", { batchSize: 1, length: 5 })).filter(({ fresh }) => fresh)
        .length;
    expect([fresh(task) > 2, fresh(alone)]).toEqual([true, 1]);
  });

  it("are missing in a token file of the format before, which is made anew", async () => {
    const data = put("one.txt", whole);
    const tokenizer = characterTokenizer(whole);
    await make(data, { tokenizer, ...large });
    const [name] = cached();
    const path = join(cache, name!);
    const made = readFileSync(path);
    const tokens = made.subarray(0, made.length - ending);
    const count = (from: number, to: number): number => tokenizer.encode(whole.slice(from, to)).length;
    const counts = [count(0, splits.valid), count(splits.valid, splits.test), count(splits.test, whole.length)];
    const numbers = Buffer.from(Float64Array.of(0x7473666d_0001, 2, ...counts, counts[1]! + counts[2]!).buffer);
    const sum = crc32(Buffer.concat([tokens, numbers]), crc32(name!));
    writeFileSync(path, Buffer.concat([tokens, numbers, Buffer.from(Float64Array.of(sum).buffer)]));
    await make(data, { tokenizer, ...large });
    expect(notes).toEqual([`${path}: damaged; it is made anew`]);
    expect(readFileSync(path).equals(made)).toBe(true);
  });
});

describe("where documents begin among tokens that join characters", () => {
  const fixture = (name: string) =>
    JSON.parse(readFileSync(new URL(`../fixtures/tokenizers/${name}.json`, import.meta.url), "utf8")) as {
      tokenizer: object;
      config: object;
    };
  /** Two line feeds are a token of their own, and each text begins with a space. */
  const joining: Tokenizer = {
    ...byteTokenizer(),
    vocabularySize: 300,
    encode: (text) => {
      const tokens = [...` ${text}`.replaceAll("\n\n", "\u{100}")].map((character) => character.codePointAt(0)!);
      return Int32Array.from(tokens);
    },
    decode: (tokens) => String.fromCodePoint(...Array.from(tokens)).replaceAll("\u{100}", "\n\n"),
  };
  const tokenizers: [string, Tokenizer][] = [
    ["bytes", byteTokenizer()],
    ["two line feeds as one, and a space before each text", joining],
    ...["byte-bpe", "word-piece", "unigram"].map((name): [string, Tokenizer] => {
      const { tokenizer, config } = fixture(name);
      return [name, huggingFaceTokenizer({ kind: "hugging-face", tokenizer, config })];
    }),
  ];
  const sentence = (n: number): string => `the ${"see and hello world ".repeat(1 + (n % 3))}${"e".repeat(n % 7)} end`;
  const files = Array.from({ length: 60 }, (_, n) => `${sentence(n)}\n${sentence(3 * n)}\n${"\n".repeat(n % 3)}`);

  test.each(tokenizers)("%s", (_, tokenizer) => {
    const text = files.join("\n");
    const starts = files.map(
      (_, i) =>
        files
          .slice(0, i)
          .map((file) => `${file}\n`)
          .join("").length,
    );
    const { tokens, documents } = documentTokens(tokenizer, text, starts);
    expect([...tokens]).toEqual([...tokenizer.encode(text)]);
    expect(documents).toHaveLength(files.length);
    const bare = (text: string): string => text.replaceAll(/\s+/g, " ").trim();
    documents.forEach((start, i) => {
      const own = tokens.subarray(start, documents[i + 1] ?? tokens.length);
      expect(bare(tokenizer.decode(own))).toBe(bare(tokenizer.decode(tokenizer.encode(files[i]!))));
    });
    const later = documentTokens(tokenizer, text, starts.slice(1));
    expect(later).toEqual({ tokens, documents: documents.slice(1) });
    expect(documentTokens(tokenizer, text, [])).toEqual({ tokens, documents: [] });
  });
});

describe("a text of any size", () => {
  it("keeps the tokenizer that it is given and names what that does not know", async () => {
    const tokenizer = characterTokenizer("alphbet ");
    const data = put("a.txt", "alpha beta ".repeat(20) + "ALPHA €!€ ".repeat(5));
    for (const context of [{}, large]) {
      notes = [];
      const task = await createTask("text", { data }, { tokenizer, note: (line) => notes.push(line), ...context });
      expect(task.tokenizer).toBe(tokenizer);
      expect(task.vocabularySize).toBe(9);
      expect(notes).toEqual([
        `${data}: read as unknown, since the tokenizer has no token for them: "A" "L" "P" "H" "€" "!"`,
      ]);
    }
    const ofGrammar = await createTask("text", {}, { tokenizer });
    expect(ofGrammar.tokenizer).toBe(tokenizer);
  });

  it("hands a tokenizer that joins characters whole lines, and a text of one piece in one", async () => {
    const seen: string[] = [];
    const tokenizer: Tokenizer = {
      ...byteTokenizer(),
      encode: (text) => {
        seen.push(text);
        return byteTokenizer().encode(text);
      },
    };
    const text = "one line\n".repeat(40);
    const data = put("a.txt", text);
    await make(data, { tokenizer });
    expect(seen).toEqual([text.slice(0, 324), text.slice(324, 342), text.slice(342)]);
    seen.length = 0;
    await make(data, { tokenizer, pieceBytes: 32 });
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.join("")).toBe(text);
    for (const piece of seen) expect(piece.endsWith("\n")).toBe(true);
  });

  it("says the path when it is too short or has nothing but blanks", async () => {
    await expect(make(put("a.txt", "abc"))).rejects.toThrow(/a\.txt: expected at least 40 characters .* got 3/);
    await expect(make(put("b.txt", " \n ".repeat(99)), large)).rejects.toThrow(/b\.txt: expected text, .* 297 blank/);
    expect(notes).toEqual([]);
  });
});

describe("the cache folder", () => {
  it("is TSFORMERS_CACHE, else below XDG_CACHE_HOME where that is absolute, else below the home folder", () => {
    const home = process.env.HOME!;
    expect(cacheFolder({ TSFORMERS_CACHE: "mine", XDG_CACHE_HOME: "/shared" })).toBe("mine");
    expect(cacheFolder({ TSFORMERS_CACHE: "", XDG_CACHE_HOME: "/shared" })).toBe(join("/shared", "tsformers"));
    expect(cacheFolder({ XDG_CACHE_HOME: "relative" })).toBe(join(home, ".cache", "tsformers"));
    expect(cacheFolder({})).toBe(join(home, ".cache", "tsformers"));
  });
});
