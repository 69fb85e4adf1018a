import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { tarEntries } from "../../../src/io/tar.ts";
import { lastWords } from "../../../src/tasks/babi/babi.ts";
import { readStories } from "../../../src/tasks/babi/stories.ts";
import { folderWith, rowsOf, sharedData, tarOf } from "../data-fixtures.ts";

const story = (a: string, b: string) =>
  [
    `1 Mary went to the ${a}.`,
    `2 Where is Mary? \t${a}\t1`,
    `3 John took the ball.`,
    `4 Mary went to the ${b}.`,
    `5 Where is mary?\t${b}\t4`,
  ].join("\n");
const path19 = "1 The den is north of the hall.\n2 How do you go?\tN,w\t1\n";
const files = {
  "en/qa1_where_train.txt": Array.from({ length: 10 }, (_, i) => story(`room${i}`, "hall")).join("\n"),
  "en/qa1_where_test.txt": story("den", "attic"),
  "en/qa19_path_train.txt": path19.repeat(10),
  "en/qa19_path_test.txt": path19,
};
const folder = folderWith({ ...files, "all.tar.gz": gzipSync(tarOf(files)) });

const make = (options: object, notes: string[] = []) =>
  createTask("babi", { data: join(folder, "en"), ...options }, { note: (line) => notes.push(line) });

it("reads stories: questions see the sentences before them, not other questions", () => {
  expect(readStories(`${story("den", "attic")}\n${path19}`, "x")).toEqual([
    [
      { story: [["mary", "went", "to", "the", "den", "."]], question: ["where", "is", "mary", "?"], answer: "den" },
      {
        story: [
          ["mary", "went", "to", "the", "den", "."],
          ["john", "took", "the", "ball", "."],
          ["mary", "went", "to", "the", "attic", "."],
        ],
        question: ["where", "is", "mary", "?"],
        answer: "attic",
      },
    ],
    [
      {
        story: [["the", "den", "is", "north", "of", "the", "hall", "."]],
        question: ["how", "do", "you", "go", "?"],
        answer: "n,w",
      },
    ],
  ]);
});

it.each([
  ["Mary went.", /x: line 1: expected a number and a sentence, the first with number 1/],
  ["2 Mary went.", /x: line 1: expected a number/],
  ["1 Where?\t\t1", /x: line 1: expected an answer/],
])("refuses %j", (text, message) => {
  expect(() => readStories(text, "x")).toThrow(message);
});

it("has the answers of its questions as classes and as words", async () => {
  const task = await make({});
  const { labelled, pairs } = task.views;
  expect(labelled!.classNames).toContain("n,w");
  const words = (numbers: number[]) =>
    numbers
      .map(task.symbolOf!)
      .join(" ")
      .replace(/( \|)+$/, "");
  const said = new Map<string, string>();
  for (const split of ["valid", "test"] as const) {
    const [a] = labelled!.evalBatches(split, { batchSize: 8, length: 32 });
    const [b] = pairs!.evalBatches(split, { batchSize: 8, length: 32 });
    rowsOf(a!.inputs).forEach((row, i) => {
      if (a!.weights.toNumbers()[i] === 0) return;
      const answer = labelled!.classNames![a!.labels.toNumbers()[i]!]!;
      expect(words(rowsOf(b!.source)[i]!)).toBe(words(row));
      expect(words(rowsOf(b!.targets)[i]!)).toBe(`${answer.replace(",", " ")} <end>`);
      said.set(`${split} ${words(row)}`, answer);
    });
  }
  const test = "mary went to the den . where is mary ?";
  expect(said.get(`test ${test}`)).toBe("den");
  expect(said.get("test the den is north of the hall . how do you go ?")).toBe("n,w");
  expect(said.get("valid mary went to the room9 . where is mary ?")).toBe("room9");
  // Two questions and one of the test; of validation the last story of each task, of 20 and 10 questions.
  expect([...said.keys()].filter((key) => key.startsWith("test"))).toHaveLength(3);
  expect([...said.keys()].filter((key) => key.startsWith("valid"))).toHaveLength(3);
});

it("leaves away the earliest sentences that do not fit, and says how often", async () => {
  const question = { story: [["a", "b"], ["c"], ["d", "e", "f"]], question: ["q", "?"], answer: "x" };
  expect([8, 7, 6, 5, 4, 2].map((length) => lastWords(question, length).join(""))).toEqual([
    "abcdefq?",
    "cdefq?",
    "cdefq?",
    "defq?",
    "q?",
    "q?",
  ]);
  expect(() => lastWords(question, 1)).toThrow("babi: a question of 2 words does not fit a length of 1");
  const notes: string[] = [];
  const task = await make({ length: 20, qa: 1 }, notes);
  expect(notes).toEqual([expect.stringMatching(/11 of 22 stories are longer than 20 words; .* has 21\)$/)]);
  expect(task.views.labelled!.trainBatch(1, 4).inputs.shape).toEqual([4, 20]);
});

it("is the same from an archive; its fingerprint tells options and data apart", async () => {
  const all = await make({});
  expect((await make({ data: join(folder, "all.tar.gz") })).fingerprint).toBe(all.fingerprint);
  expect((await make({ length: 50 })).fingerprint).toBe(all.fingerprint);
  expect((await make({ qa: 19 })).fingerprint).not.toBe(all.fingerprint);
});

it("refuses data that are not bAbI", async () => {
  await expect(createTask("babi")).rejects.toThrow(/^babi: data is missing: expected the path of a folder/);
  await expect(make({ qa: 2 })).rejects.toThrow(/expected files like qa2_NAME_train.txt in it; it has tasks 1, 19$/);
  await expect(make({ qa: 21 })).rejects.toThrow(/from 1 to 20/);
  const twice = folderWith({ ...files, "hn/qa1_where_train.txt": "1 a\t b" });
  await expect(make({ data: twice })).rejects.toThrow(
    /has en\/qa1_where_train.txt and hn\/qa1_where_train.txt; give the folder of one/,
  );
  const half = folderWith({ "qa1_where_train.txt": files["en/qa1_where_train.txt"] });
  await expect(make({ data: half })).rejects.toThrow(/expected a file like qa1_NAME_test.txt/);
});

const data = sharedData("babi/babi_en_1k.tar.gz");
const here = existsSync(data);
if (!here) console.warn("babi.test.ts: the real data are not read: ../shared/data/babi is not here");

describe.skipIf(!here)("bAbI 1.2", () => {
  it("has the questions that a plain reading finds", async () => {
    const bytes = gunzipSync(readFileSync(data));
    const text = (name: string) => {
      const { bytes: file } = tarEntries(bytes, data).find((entry) => entry.name.endsWith(name))!;
      return new TextDecoder().decode(file);
    };
    // Plainly: each line with a tab asks about all lines without one since the last line with number 1.
    const plain = text("qa2_two-supporting-facts_test.txt")
      .trim()
      .split("\n")
      .reduce<{ told: string[]; asked: string[] }>(
        ({ told, asked }, line) => {
          const sentence = line.replace(/^\d+ /, "").toLowerCase();
          const before = line.startsWith("1 ") ? [] : told;
          if (!sentence.includes("\t")) return { told: [...before, sentence], asked };
          const [question, answer] = sentence.split("\t");
          const row = [...before, question]
            .join(" ")
            .replace(/([.?])/g, " $1")
            .replace(/\s+/g, " ")
            .trim();
          return { told: before, asked: [...asked, `${row} = ${answer!.trim()}`] };
        },
        { told: [], asked: [] },
      );
    const task = await createTask("babi", { data, qa: 2, length: 1024 });
    const { labelled } = task.views;
    const found: string[] = [];
    for (const batch of labelled!.evalBatches("test", { batchSize: 100, length: 1024 })) {
      const [masks, labels] = [rowsOf(batch.mask), batch.labels.toNumbers()];
      rowsOf(batch.inputs).forEach((row, i) => {
        const words = row.filter((_, t) => masks[i]![t] === 1).map(task.symbolOf!);
        found.push(`${words.join(" ")} = ${labelled!.classNames![labels[i]!]}`);
      });
    }
    expect(found).toHaveLength(1000);
    expect(found.sort()).toEqual(plain.asked.sort());
  });

  it("has 20 tasks of 1,000 questions each for training and for the test", async () => {
    const task = await createTask("babi", { data }, { note: () => {} });
    const count = (split: "valid" | "test") =>
      [...task.views.labelled!.evalBatches(split, { batchSize: 1000, length: 128 })]
        .flatMap(({ weights }) => weights.toNumbers())
        .reduce((sum, weight) => sum + weight, 0);
    expect(count("test")).toBe(20_000);
    // A tenth of each task, less what is left of the story at the border.
    const valid = count("valid");
    expect(valid).toBeGreaterThan(1_900);
    expect(valid).toBeLessThanOrEqual(2_000);
  });
});
