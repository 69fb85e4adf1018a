import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { FileError } from "../../../src/io/file-error.ts";
import { readDocumentPairs } from "../../../src/tasks/arena/read-document-pairs.ts";
import { retrievalTask } from "../../../src/tasks/arena/retrieval.ts";
import type { MatchedBatch } from "../../../src/tasks/task.ts";

const novels = fileURLToPath(new URL("../../../../../../shared/data/eltec_novels", import.meta.url));
const here = existsSync(novels);
if (!here) console.warn("retrieval.test.ts skipped in part: ../shared/data/eltec_novels is not here");

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-pairs-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  mkdirSync(join(home, name), { recursive: true });
  for (const [file, contents] of Object.entries(files)) writeFileSync(join(home, name, file), contents);
  return join(home, name);
}

/** The two texts of each pair, with its class. */
function textsOf({ inputs, mask, others, othersMask, labels, weights }: MatchedBatch) {
  const length = inputs.shape[1]!;
  const texts = (tokens: typeof inputs, real: typeof mask): string[] => {
    const [bytes, shown] = [Buffer.from(tokens.toNumbers()), real.toNumbers()];
    return labels.toNumbers().map((_, row) => {
      const count = shown.slice(row * length, (row + 1) * length).reduce((a, b) => a + b, 0);
      return bytes.subarray(row * length, row * length + count).toString("latin1");
    });
  };
  const [firsts, seconds, scored] = [texts(inputs, mask), texts(others, othersMask), weights.toNumbers()];
  return labels
    .toNumbers()
    .map((label, row) => ({ label, first: firsts[row]!, second: seconds[row]! }))
    .filter((_, row) => scored[row]! > 0);
}

const line = (label: string, i: number, split: string): string =>
  `${label}\t${i}\t${i + 1}\tfirst ${split} ${i}\tsecond ${split} ${i}, longer`;
const table = (split: string, count: number, end = "\n"): string =>
  Array.from({ length: count }, (_, i) => line(i % 2 === 0 ? "1.0" : "0", i, split) + end).join("");

describe("tables of pairs", () => {
  const tables = (): string =>
    folder("tables", {
      "new_aan_pairs.train.tsv": table("train", 5),
      "new_aan_pairs.eval.tsv": table("valid", 3, "\r\n"),
      "new_aan_pairs.test.tsv": table("test", 4).trimEnd(),
    });

  it("give each line as a pair, and its label as the class", async () => {
    const task = await createTask("retrieval", { data: tables(), length: 14 });
    const { matched } = task.views;
    const epoch = textsOf(matched!.trainBatch(0, 5));
    expect(epoch.toSorted((a, b) => (a.first < b.first ? -1 : 1))).toEqual(
      Array.from({ length: 5 }, (_, i) => ({
        label: (i + 1) % 2,
        first: `first train ${i}`,
        second: `second train ${i}, longer`.slice(0, 14),
      })),
    );
    for (const [split, count] of [
      ["valid", 3],
      ["test", 4],
    ] as const) {
      const found = [...matched!.evalBatches(split, { batchSize: 2, length: 30 })].flatMap(textsOf);
      expect(found).toEqual(
        Array.from({ length: count }, (_, i) => ({
          label: (i + 1) % 2,
          first: `first ${split} ${i}`,
          second: `second ${split} ${i}, longer`,
        })),
      );
    }
  });

  it("are known again by their contents", () => {
    const before = readDocumentPairs(tables()).identity;
    expect(readDocumentPairs(tables()).identity).toBe(before);
    writeFileSync(join(home, "tables", "new_aan_pairs.test.tsv"), table("Test", 4));
    expect(readDocumentPairs(join(home, "tables")).identity).not.toBe(before);
  });

  it.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ["a missing split", { "a.train.tsv": table("x", 2), "a.test.tsv": table("x", 2) }, /no table of pairs for valid/],
    [
      "another label",
      {
        "a.train.tsv": `${table("x", 2)}maybe\t1\t2\ta\tb\n`,
        "a.eval.tsv": table("x", 1),
        "a.test.tsv": table("x", 1),
      },
      /a\.train\.tsv: line 3: expected the label 0 or 1 and a tab, got "maybe"/,
    ],
    [
      "an empty table",
      { "a.train.tsv": "\n", "a.eval.tsv": table("x", 1), "a.test.tsv": table("x", 1) },
      /a\.train\.tsv: has no pairs/,
    ],
    ["neither tables nor books", { "a.txt": "a" }, /expected tables of pairs like .*, found 0/],
    ["one book", { "train_a.txt": "a", "valid_a.txt": "a", "test_a.txt": "a" }, /two or more books named train_\*/],
  ])("are refused: %s", (name, files, message) => {
    const path = folder(name.replaceAll(" ", "-"), files);
    expect(() => readDocumentPairs(path)).toThrow(FileError);
    expect(() => readDocumentPairs(path)).toThrow(message);
  });

  it("are refused at the line that lacks a text", async () => {
    const data = folder("fields", {
      "a.train.tsv": "1\t2\t3\tonly one text\n",
      "a.eval.tsv": table("x", 1),
      "a.test.tsv": table("x", 1),
    });
    const task = await createTask("retrieval", { data });
    expect(() => task.views.matched!.trainBatch(0, 1)).toThrow(/a\.train\.tsv: line 1: expected 5 fields .* got 4/);
  });

  it("may have lines longer than the pieces that are read", () => {
    const long = "x".repeat(5_000_000);
    const data = folder("long", {
      "a.train.tsv": `1\ta\tb\t${long}1\tsecond\n0\tc\td\tthird\t${long}2\n`,
      "a.eval.tsv": table("x", 1),
      "a.test.tsv": table("x", 1),
    });
    const { pairs } = readDocumentPairs(data);
    expect(pairs!.train.map(({ label, read }) => [label, ...read(1).map(({ length }) => length)])).toEqual([
      [1, 5_000_001, 6],
      [0, 5, 5_000_001],
    ]);
  });
});

describe("passages of books", () => {
  /** Books in which each place of four bytes is another one: 1,000 numbers behind a letter. */
  const texts: Readonly<Record<string, string>> = Object.fromEntries(
    [..."abcdefg"].map((letter) => [
      letter,
      Array.from({ length: 1000 }, (_, i) => `${letter}${String(i).padStart(3, "0")}`).join(""),
    ]),
  );
  const book = (letter: string): Buffer => Buffer.from(texts[letter]!);
  const data = (): string =>
    folder("books", {
      "train_A.txt": book("a"),
      "train_B.txt.gz": gzipSync(book("b")),
      "train_C.txt": book("c"),
      "valid_D.txt": book("d"),
      "valid_E.txt": book("e"),
      "test_F.txt": book("f"),
      "test_G.txt": book("g"),
      "index.csv": "not a book",
    });
  const letter = (text: string): string => /[a-g]/.exec(text)![0];
  /** Where a passage begins in its book. */
  const placeOf = (text: string): number => texts[letter(text)]!.indexOf(text);

  it("are of one book or of two, equally often, and do not overlap", () => {
    const task = retrievalTask({ source: readDocumentPairs(data()), length: 100 });
    const pairs = [0, 1].flatMap((step) => textsOf(task.views.matched.trainBatch(step, 400)));
    for (const { label, first, second } of pairs) {
      expect([first.length, second.length, placeOf(first) >= 0, placeOf(second) >= 0]).toEqual([100, 100, true, true]);
      expect(label).toBe(letter(first) === letter(second) ? 1 : 0);
      if (label === 1) expect(Math.abs(placeOf(first) - placeOf(second))).toBeGreaterThanOrEqual(100);
    }
    const near = (count: number, share: number, of: number) =>
      expect(Math.abs(count - share * of)).toBeLessThan(5 * Math.sqrt(of * share * (1 - share)));
    near(pairs.filter(({ label }) => label === 1).length, 1 / 2, 800);
    for (const which of ["a", "b", "c"]) {
      near(pairs.filter(({ first }) => letter(first) === which).length, 1 / 3, 800);
      near(pairs.filter(({ second }) => letter(second) === which).length, 1 / 3, 800);
    }
    const same = pairs.filter(({ label }) => label === 1);
    near(same.filter(({ first, second }) => placeOf(first) < placeOf(second)).length, 1 / 2, same.length);
    expect(Math.max(...pairs.map(({ first }) => placeOf(first)))).toBeGreaterThan(3800);
  });

  it("are of the books of their split", () => {
    const task = retrievalTask({ source: readDocumentPairs(data()), length: 50 });
    const lettersOf = (pairs: ReturnType<typeof textsOf>): string =>
      [...new Set(pairs.flatMap(({ first, second }) => [letter(first), letter(second)]))].sort().join("");
    expect(lettersOf(textsOf(task.views.matched.trainBatch(1, 100)))).toBe("abc");
    for (const [split, letters] of [
      ["valid", "de"],
      ["test", "fg"],
    ] as const) {
      const batches = [...task.views.matched.evalBatches(split, { batchSize: 50, length: 50, limit: 70 })];
      expect(batches.flatMap(textsOf)).toHaveLength(70);
      expect(lettersOf(batches.flatMap(textsOf))).toBe(letters);
    }
  });

  it("draw evaluation the same way under every seed, training not", () => {
    const [a, b] = [0, 5].map((seed) => retrievalTask({ source: readDocumentPairs(data()), length: 50, seed }).views);
    const options = { batchSize: 4, length: 50, limit: 8 };
    expect([...a!.matched.evalBatches("test", options)]).toEqual([...b!.matched.evalBatches("test", options)]);
    expect(a!.matched.trainBatch(1, 4)).not.toEqual(b!.matched.trainBatch(1, 4));
  });

  it("need books that are long enough", () => {
    const task = retrievalTask({ source: readDocumentPairs(data()), length: 2001 });
    expect(() => task.views.matched.trainBatch(0, 1)).toThrow(
      "retrieval: two passages of 2001 bytes need a book of 4002, train_A.txt has 4000",
    );
    const whole = retrievalTask({ source: readDocumentPairs(data()), length: 2000 });
    for (const { label, first, second } of textsOf(whole.views.matched.trainBatch(0, 20)))
      if (label === 1) expect([placeOf(first), placeOf(second)].sort((a, b) => a - b)).toEqual([0, 2000]);
  });

  it.skipIf(!here)("are read from the novels, each author in one split", async () => {
    const { books } = readDocumentPairs(novels);
    const authors = Object.values(books!).map((own) => own.map(({ name }) => name.split("_")[2]));
    expect(authors.map((own) => own.length)).toEqual([14, 2, 2]);
    const { bytes, name } = books!.test[0]!;
    expect(Buffer.compare(bytes, gunzipSync(readFileSync(join(novels, name))))).toBe(0);
    // Two sisters Brontë wrote a book each.
    expect(new Set(authors.flat()).size).toBe(17);
    const task = await createTask("retrieval", { data: novels, length: 4000 });
    const [batch] = task.views.matched!.evalBatches("test", { batchSize: 4, length: 4000 });
    expect(batch!.inputs.shape).toEqual([4, 4000]);
  });
});
