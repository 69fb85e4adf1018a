import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { FileError } from "../../../src/io/file-error.ts";
import { readDocuments } from "../../../src/tasks/arena/read-documents.ts";
import { writeTar } from "./write-tar.ts";

const reviews = fileURLToPath(
  new URL("../../../../../../shared/data/movie_reviews/movie_reviews.zip", import.meta.url),
);
const here = existsSync(reviews);
if (!here)
  console.warn("classify-text.test.ts skipped in part: ../shared/data/movie_reviews/movie_reviews.zip is not here");

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-documents-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Files = Readonly<Record<string, string | Uint8Array>>;
const bytesOf = (files: Files): Record<string, Uint8Array> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text as string)]));

function folder(name: string, files: Files): string {
  for (const [file, bytes] of Object.entries(bytesOf(files))) {
    mkdirSync(dirname(join(home, name, file)), { recursive: true });
    writeFileSync(join(home, name, file), bytes);
  }
  return join(home, name);
}

function archive(name: string, files: Files): string {
  const bytes = bytesOf(files);
  const packed = name.endsWith(".zip") ? zipSync(bytes) : writeTar(bytes, { longNames: name.startsWith("long") });
  writeFileSync(join(home, name), name.endsWith("gz") ? gzipSync(packed) : packed);
  return join(home, name);
}

const documents = (names: readonly string[]): Files => Object.fromEntries(names.map((name) => [name, `about ${name}`]));
const numbersTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const plain = documents(["neg", "pos"].flatMap((name) => numbersTo(20).map((i) => `${name}/${i}.txt`)));
const imdb = {
  ...documents(
    ["train/neg", "train/pos", "test/neg", "test/pos", "train/unsup"].flatMap((name) =>
      numbersTo(20).map((i) => `aclImdb/${name}/${i}.txt`),
    ),
  ),
  "aclImdb/README": "read me",
  "aclImdb/train/urls_pos.txt": "http://",
};

/** The texts of each split, with their classes. */
function textsOf(path: string, notes: string[] = []): Record<"train" | "valid" | "test", string[]> {
  const { splits, classNames } = readDocuments(path, { note: (line) => notes.push(line) });
  const texts = (split: keyof typeof splits) =>
    splits[split].map(({ bytes, label }) => `${classNames[label]}: ${Buffer.from(bytes).toString()}`);
  return { train: texts("train"), valid: texts("valid"), test: texts("test") };
}

describe("documents", () => {
  it("of classes without splits are split into tenths, the same ones in a folder and in any archive", () => {
    const found = textsOf(folder("plain", { ...plain, ".hidden/x.txt": "x", "pos/.hidden.txt": "x" }));
    expect([found.train.length, found.valid.length, found.test.length]).toEqual([32, 4, 4]);
    expect(found.valid.filter((text) => text.startsWith("neg"))).toHaveLength(2);
    const all = [...found.train, ...found.valid, ...found.test];
    expect(all.toSorted()).toEqual(
      Object.entries(plain)
        .map(([name, text]) => `${name.split("/")[0]}: ${text}`)
        .toSorted(),
    );
    for (const name of ["plain.zip", "plain.tar", "plain.tar.gz", "plain.tgz", "long.tar.gz"])
      expect(textsOf(archive(name, plain)), name).toEqual(found);
    expect(readDocuments(join(home, "plain.zip")).identity).toBe(readDocuments(join(home, "plain")).identity);
    const changed = folder("changed", { ...plain, "pos/3.txt": "another" });
    expect(readDocuments(changed).identity).not.toBe(readDocuments(join(home, "plain")).identity);
  });

  it("do not come in the order of their classes", () => {
    const { valid, train } = textsOf(folder("plain", plain));
    for (const texts of [valid, train]) expect(texts).not.toEqual(texts.toSorted());
  });

  it("in IMDb's layout keep their splits; a tenth of training is for validation, and unlabelled ones are passed over", () => {
    const notes: string[] = [];
    const found = textsOf(archive("imdb.tar.gz", imdb), notes);
    expect([found.train.length, found.valid.length, found.test.length]).toEqual([36, 4, 40]);
    expect(found.test.every((text) => text.includes("aclImdb/test/"))).toBe(true);
    expect([...found.train, ...found.valid].every((text) => /aclImdb\/train\/(neg|pos)/.test(text))).toBe(true);
    expect(notes).toEqual([expect.stringContaining("class unsup is passed over; it is not in all of test, train")]);
  });

  it("may have all three splits", () => {
    const files = documents(["train/a/1", "train/b/1", "valid/a/2", "valid/b/2", "test/a/3", "test/b/3"]);
    const found = textsOf(folder("three", files));
    expect(Object.values(found).map((texts) => texts.toSorted())).toEqual([
      ["a: about train/a/1", "b: about train/b/1"],
      ["a: about valid/a/2", "b: about valid/b/2"],
      ["a: about test/a/3", "b: about test/b/3"],
    ]);
  });

  it("that are no text are passed over with a note", () => {
    const notes: string[] = [];
    const found = textsOf(folder("odd", { ...plain, "pos/x.bin": Uint8Array.of(1, 0, 2), "pos/y.txt": "" }), notes);
    expect([...found.train, ...found.valid, ...found.test]).toHaveLength(40);
    expect(notes).toEqual([expect.stringContaining("2 files passed over, which are empty or no text")]);
  });

  it.each<[string, () => string, RegExp]>([
    ["a missing path", () => join(home, "nowhere"), /nowhere: no such file/],
    ["a folder without classes", () => folder("flat", { "a.txt": "a" }), /flat: expected a folder .* found none/],
    ["one class", () => folder("one", { "in/a/1.txt": "x", "in/a/2.txt": "y" }), /two or more classes, found only a/],
    ["too few documents", () => folder("few", documents(["a/1", "b/1"])), /class a has too few documents to split/],
    ["a damaged zip", () => archiveOf("bad.zip", Buffer.from("PK nothing")), /bad\.zip: the zip archive is damaged/],
    ["a damaged gzip", () => archiveOf("bad.tar.gz", Buffer.from("nothing")), /bad\.tar\.gz: the gzip file is damaged/],
    ["no tar", () => archiveOf("bad.tar", Buffer.alloc(1024, 7)), /bad\.tar: is no tar archive, or damaged at byte 0/],
    [
      "a tar that ends early",
      () => archiveOf("short.tar", writeTar({ "a/1": Buffer.alloc(2000, 65) }).subarray(0, 1024)),
      /short\.tar: the archive ends too early: a file at byte 0 should have 2000 bytes/,
    ],
  ])("are refused: %s", (_, path, message) => {
    const at = path();
    expect(() => readDocuments(at)).toThrow(FileError);
    expect(() => readDocuments(at)).toThrow(message);
  });

  it("in a zip that claims impossible sizes are refused before memory is taken", () => {
    const bytes = Buffer.from(zipSync({ "a/1.txt": Buffer.from("aaaa") }));
    const directory = bytes.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    bytes.writeUInt32LE(0x7fffffff, directory + 24);
    expect(() => readDocuments(archiveOf("bomb.zip", bytes))).toThrow(/bomb\.zip: is damaged or too large: a\/1\.txt/);
  });
});

function archiveOf(name: string, bytes: Uint8Array): string {
  writeFileSync(join(home, name), bytes);
  return join(home, name);
}

describe("classify-text", () => {
  it("reads the beginning of a document byte by byte, with padding behind", async () => {
    const data = folder("plain", plain);
    const task = await createTask("classify-text", { data, length: 12 });
    expect([task.vocabularySize, task.views.labelled!.classNames]).toEqual([256, ["neg", "pos"]]);
    const batch = task.views.labelled!.trainBatch(0, 32);
    const rows = batch.labels.toNumbers().map((label, row) => {
      const tokens = batch.inputs.toNumbers().slice(row * 12, (row + 1) * 12);
      return `${["neg", "pos"][label]}: ${Buffer.from(tokens).toString()}`;
    });
    // An epoch: each document once.
    expect(rows.toSorted()).toEqual(
      textsOf(data)
        .train.map((text) => text.slice(0, 5 + 12))
        .toSorted(),
    );
    const [wide] = task.views.labelled!.evalBatches("test", { batchSize: 4, length: 30 });
    const real = wide!.mask.toNumbers().reduce((a, b) => a + b, 0);
    expect(real).toBe(textsOf(data).test.reduce((sum, text) => sum + text.length - 5, 0));
    expect(wide!.inputs.toNumbers().filter((token) => token > 0)).toHaveLength(real);
  });

  it("reads characters, too, with the alphabet of the training split or that of a run", async () => {
    const data = folder("letters", { ...plain, "pos/3.txt": "größe" });
    const task = await createTask("classify-text", { data, length: 8, tokens: "character" });
    expect(task.tokenizer!.decode(task.tokenizer!.encode("about pos"))).toBe("about pos");
    expect(task.vocabularySize).toBeLessThan(40);
    const kept = await createTask(
      "classify-text",
      { data, length: 8, tokens: "character" },
      { tokenizer: task.tokenizer! },
    );
    expect(kept.views.labelled!.trainBatch(3, 4)).toEqual(task.views.labelled!.trainBatch(3, 4));
    expect(task.fingerprint).not.toBe((await createTask("classify-text", { data })).fingerprint);
    expect((await createTask("classify-text", { data, length: 9, tokens: "character" })).fingerprint).toBe(
      task.fingerprint,
    );
  });

  it("says what is missing", async () => {
    await expect(createTask("classify-text")).rejects.toThrow(
      /^classify-text: data is missing: expected the path of a folder or archive of documents/,
    );
    await expect(createTask("classify-text", { data: join(home, "nowhere") })).rejects.toThrow(/no such file/);
  });

  it.skipIf(!here)("reads the movie reviews: 800, 100 and 100 of each class", async () => {
    const { splits, classNames } = readDocuments(reviews);
    expect(classNames).toEqual(["neg", "pos"]);
    for (const [split, count] of [
      ["train", 800],
      ["valid", 100],
      ["test", 100],
    ] as const) {
      const labels = splits[split].map(({ label }) => label);
      expect([labels.length, labels.filter((label) => label === 1).length]).toEqual([2 * count, count]);
    }
    const task = await createTask("classify-text", { data: reviews });
    expect(task.tokenizer!.decode(task.views.labelled!.trainBatch(0, 1).inputs.toNumbers())).toMatch(/^[\n -~]{1024}$/);
  });
});
