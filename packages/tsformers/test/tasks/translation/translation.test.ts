import { existsSync } from "node:fs";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import type { Task } from "../../../src/tasks/task.ts";
import { readSentences, type SentencePair, splitSentences } from "../../../src/tasks/translation/sentences.ts";
import { folderWith, rowsOf, sharedData } from "../data-fixtures.ts";

const table = Array.from({ length: 200 }, (_, i) => `Line ${i}.\tRad ${i} å.\tCC-BY ${i}`).join("\n");
const folder = folderWith({
  "swe.txt": table,
  "swe.zip": zipSync({ "_about.txt": strToU8("about"), "swe.txt": strToU8(table) }),
  "two.zip": zipSync({ "a.txt": strToU8(table), "b.tsv": strToU8(table) }),
});
const make = (options: object = {}, notes: string[] = []): Promise<Task> =>
  createTask(
    "translation",
    { data: join(folder, "swe.txt"), length: 16, ...options },
    { note: (line) => notes.push(line) },
  );

/** Every pair of a split, as text. */
const pairsOf = (task: Task, split: "valid" | "test"): string[] =>
  [...task.views.pairs!.evalBatches(split, { batchSize: 8, length: task.length })].flatMap((batch) => {
    const text = (array: typeof batch.source, weights: typeof batch.source) =>
      rowsOf(array).map((row, i) => row.filter((_, t) => rowsOf(weights)[i]![t] === 1));
    const [sources, targets] = [text(batch.source, batch.sourceWeights), text(batch.targets, batch.weights)];
    return sources.flatMap((source, i) => {
      if (source.length === 0) return [];
      expect(targets[i]!.at(-1)).toBe(task.vocabularySize - 1);
      expect(rowsOf(batch.inputs)[i]!.slice(0, targets[i]!.length)).toEqual([
        task.vocabularySize - 2,
        ...targets[i]!.slice(0, -1),
      ]);
      return [`${task.tokenizer!.decode(source)} = ${task.tokenizer!.decode(targets[i]!.slice(0, -1))}`];
    });
  });

it.each(["character", "byte", "bpe"])("gives the sentences of the table, in tokens %s", async (tokens) => {
  const task = await make({ tokens });
  const rows = [...pairsOf(task, "valid"), ...pairsOf(task, "test")];
  expect(rows.length).toBeGreaterThan(5);
  expect(new Set(rows).size).toBe(rows.length);
  for (const row of rows) expect(row).toMatch(/^Line (\d+)\. = Rad \1 å\.$/);
});

it("translates the other way round, with the same splits", async () => {
  const [there, back] = [await make(), await make({ reverse: true })];
  expect(pairsOf(back, "test")).toEqual(pairsOf(there, "test").map((row) => row.split(" = ").reverse().join(" = ")));
  expect(back.fingerprint).not.toBe(there.fingerprint);
});

it("is the same from a zip, and its fingerprint does not change with the length", async () => {
  expect((await make({ data: join(folder, "swe.zip") })).fingerprint).toBe((await make()).fingerprint);
  expect((await make({ length: 11 })).fingerprint).toBe((await make()).fingerprint);
});

it("leaves out sentences that do not fit, and says how many", async () => {
  const notes: string[] = [];
  const task = await make({ length: 10 }, notes);
  // `Rad 10 å.` has nine characters and an end; `Rad 100 å.` ten.
  expect(notes).toEqual([
    "translation: 100 of 200 pairs are left out: a sentence has more tokens than the 10 of a row",
  ]);
  for (const row of pairsOf(task, "test")) expect(row).toMatch(/^Line \d{1,2}\. /);
  expect(() => task.views.pairs!.trainBatch(1, 1, 9)).toThrow(
    /rows have up to 10 positions, which do not fit a length of 9/,
  );
  await expect(make({ length: 3 })).rejects.toThrow(/no pair for train fits a length of 3/);
});

it("keeps sentences and references as text, those of its rows", async () => {
  for (const options of [{}, { length: 10 }, { tokens: "bpe", vocabulary: 280, reverse: true }]) {
    const task = await make(options);
    const { start, end, splits } = task.translations!;
    expect([start, end]).toEqual([task.vocabularySize - 2, task.endToken]);
    expect(splits.test.map((pair) => pair.join(" = "))).toEqual(pairsOf(task, "test"));
  }
  expect((await make({ tokens: "bpe", vocabulary: 280 })).vocabularySize).toBeLessThanOrEqual(282);
});

it("names its tokens, each differently", async () => {
  for (const tokens of ["character", "byte"]) {
    const { vocabularySize, symbolOf } = await make({ tokens });
    expect(new Set(Array.from({ length: vocabularySize }, (_, token) => symbolOf!(token))).size).toBe(vocabularySize);
  }
});

it("refuses what is no table", async () => {
  expect(() => readSentences("Go.\tGå.\n\nRun!", "x")).toThrow(
    "x: line 3: expected a sentence, a tab and its translation",
  );
  expect(() => readSentences("Go.\t \tCC", "x")).toThrow("x: line 1: expected");
  await expect(make({ data: join(folder, "two.zip") })).rejects.toThrow(/has a.txt and b.tsv; give one table/);
  await expect(make({ vocabulary: 300 })).rejects.toThrow(
    "vocabulary: tokens character has the size that it has; it is an option of bpe",
  );
  await expect(make({ tokens: "bpe", vocabulary: 100 })).rejects.toThrow(/vocabulary.*256/);
  await expect(createTask("translation")).rejects.toThrow(
    /^translation: data is missing: expected the path of a table/,
  );
});

/** Whether two splits have a sentence in common, of either language. */
function shared(a: readonly SentencePair[], b: readonly SentencePair[]): string[] {
  const [sources, targets] = [new Set(a.map(([source]) => source)), new Set(a.map(([, target]) => target))];
  return b.flatMap(([source, target]) => [
    ...(sources.has(source) ? [source] : []),
    ...(targets.has(target) ? [target] : []),
  ]);
}

it("keeps pairs together that are linked through others, whatever their order", () => {
  // 0–1, 1–2, … share a sentence in turn: each chain of four pairs has to stay together.
  const pairs = Array.from({ length: 400 }, (_, i): SentencePair => {
    const [chain, place] = [Math.floor(i / 4), i % 4];
    return [`s${chain}.${Math.ceil(place / 2)}`, `t${chain}.${Math.floor(place / 2)}`];
  });
  const splits = splitSentences(pairs);
  expect(splits.test.length).toBeGreaterThan(0);
  for (const split of Object.values(splits)) expect(split.length % 4).toBe(0);
  const again = splitSentences(pairs.toReversed());
  expect(again.test.map(String).sort()).toEqual(splits.test.map(String).sort());
});

const data = sharedData("tatoeba_eng_swe/swe-eng.zip");
const here = existsSync(data);
if (!here) console.warn("translation.test.ts: the real data are not read: ../shared/data/tatoeba_eng_swe is not here");

describe.skipIf(!here)("Tatoeba, English and Swedish", () => {
  it("has no sentence in two splits, and all of the 25,286 pairs", async () => {
    const { readDataTexts } = await import("../../../src/io/data-texts.ts");
    const [file] = readDataTexts(data, (name) => name === "swe.txt");
    const { train, valid, test } = splitSentences(readSentences(file!.text, file!.path));
    expect(train.length + valid.length + test.length).toBe(25_286);
    expect([...shared(train, valid), ...shared(train, test), ...shared(valid, test)]).toEqual([]);
    for (const split of [valid, test]) expect(split.length / 25_286).toBeCloseTo(0.05, 2);
  });
});
