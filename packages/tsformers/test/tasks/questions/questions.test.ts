import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { exampleOf } from "../../../src/tasks/example.ts";
import { normalWords, piecesOf } from "../../../src/tasks/questions/pieces.ts";
import { questionsEntry, questionsTask } from "../../../src/tasks/questions/questions.ts";
import { readSquad } from "../../../src/tasks/questions/read-squad.ts";
import type { SpansBatch } from "../../../src/tasks/task.ts";

const home = mkdtempSync(join(tmpdir(), "tsformers-questions-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const rowsOf = ({ inputs }: SpansBatch): number[][] => {
  const [rows, length] = inputs.shape as [number, number];
  const tokens = inputs.toNumbers();
  return Array.from({ length: rows }, (_, row) => tokens.slice(row * length, (row + 1) * length));
};

describe("invented questions", () => {
  const task = questionsTask({ words: 24, length: 48 });
  const text = (tokens: readonly number[]) => tokens.map((token) => task.symbolOf!(token)).join(" ");

  it("have their answer where the targets say, behind the name that is asked for, which no other sentence has", () => {
    const batch = task.views.spans.trainBatch(3, 64);
    const targets = batch.targets.toNumbers();
    rowsOf(batch).forEach((tokens, row) => {
      const [from, to] = targets.slice(2 * row, 2 * row + 2) as [number, number];
      const line = text(tokens);
      const [, kind, name] = /^<q> what is the (\w+) of (\w+) \? <\/q> /.exec(line)!;
      expect(line.split(` ${name} `)).toHaveLength(3);
      expect(line).toContain(`the ${kind} of ${name} is ${text(tokens.slice(from, to + 1))} .`);
      expect(text(tokens.slice(from - 5, from))).toBe(`the ${kind} of ${name} is`);
    });
  });

  it("are cut where the passage is longer than the row, and count all the same", () => {
    const cut = questionsTask({ words: 24, length: 48, passage: 160 }).views.spans.trainBatch(1, 256);
    const found = cut.found.toNumbers().reduce((sum, one) => sum + one, 0);
    // 39 of 160 tokens are left.
    expect(found / 256).toBeGreaterThan(0.1);
    expect(found / 256).toBeLessThan(0.4);
    expect(cut.weights.toNumbers().every((weight) => weight === 1)).toBe(true);
  });

  it("are written as pairs: the same answer, up to a full stop", () => {
    const { source, inputs, targets, weights } = task.views.pairs.trainBatch(2, 1);
    const spans = task.views.spans.trainBatch(2, 1);
    expect(source.toNumbers()).toEqual(spans.inputs.toNumbers());
    const [from, to] = spans.targets.toNumbers() as [number, number];
    const answer = spans.inputs.toNumbers().slice(from, to + 1);
    expect(targets.toNumbers().slice(0, answer.length + 1)).toEqual([...answer, 3]);
    expect(inputs.toNumbers()[0]).toBe(1);
    expect(weights.toNumbers().reduce((sum, one) => sum + one, 0)).toBe(answer.length + 1);
  });

  it("are shown with their answer", () => {
    const { view, expected, input } = exampleOf(task);
    expect(view).toBe("spans");
    expect(input).toContain(`${expected} .`);
  });

  it("need room, and words", () => {
    expect(() => task.views.spans.trainBatch(1, 1, 18)).toThrow("need a length of at least 19, got 18");
    expect(() => questionsTask({ passage: 5 }).views.spans.trainBatch(1, 1)).toThrow("a length of at least 19, got 14");
    expect(() => questionsTask({ words: 8 })).toThrow("questions: words must be an integer ≥ 24, got 8");
  });
});

describe("texts by people", () => {
  it("are words with the punctuation around them, in SQuAD's normal form", () => {
    expect(piecesOf('The "SARS-CoV-2", 5.2 (days).').map(({ text, at }) => [text, at])).toEqual([
      ["The", 0],
      ['"', 4],
      ["SARS-CoV-2", 5],
      ['"', 15],
      [",", 16],
      ["5.2", 18],
      ["(", 22],
      ["days", 23],
      [")", 27],
      [".", 28],
    ]);
    expect(normalWords('The "SARS-CoV-2", 5.2 (days) of an A.')).toEqual(["sarscov2", "52", "days", "of"]);
    expect(normalWords("… --")).toEqual(["…"]);
  });

  const document = `${"Some words. ".repeat(3)}The virus is old. Some more, the virus is new.`;
  const squad = (answers: object[], context = document) =>
    JSON.stringify({ data: [{ paragraphs: [{ context, qas: [{ question: "What is it?", answers }] }] }] });

  it("are read, with answers at the nearest place where they stand", () => {
    const at = (start: number, text = "virus is") =>
      readSquad(squad([{ text, answer_start: start }]), "f")[0]![0]!.answers[0]!.at;
    expect(document.slice(at(41), at(41) + 8)).toBe("virus is");
    expect([at(40), at(44), at(70), at(-3), at(9999)]).toEqual([40, 40, 69, 40, 69]);
    // Where the text was edited.
    expect([at(12, "is not there"), at(9999, "is not there")]).toEqual([12, document.length - 1]);
  });

  it("are refused in one line where they are none", () => {
    for (const [text, reason] of [
      ["{", "f: expected JSON in SQuAD's layout; "],
      ["{}", "f: expected JSON in SQuAD's layout; data: "],
      [squad([]), "f: expected questions with answers, found none"],
    ] as const)
      expect(() => readSquad(text, "f")).toThrow(reason);
  });

  it("are evaluated on, answers that are cut away included; training stays invented", async () => {
    const answers = [{ text: "virus is new", answer_start: document.indexOf("virus is new") }];
    const one = JSON.parse(squad(answers)).data[0];
    const data = join(home, "squad.json");
    writeFileSync(data, JSON.stringify({ data: Array.from({ length: 10 }, () => one) }));
    const task = await questionsEntry.make({ data, length: 40, words: 500 });
    const { spans } = task.views as ReturnType<typeof questionsTask>["views"];
    const [batch] = spans.evalBatches("test", { batchSize: 16, length: 40 });
    expect(batch!.weights.toNumbers().reduce((sum, one) => sum + one, 0)).toBe(9);
    const [from, to] = batch!.targets.toNumbers() as [number, number];
    expect(batch!.words.toNumbers().slice(from, to + 1)).toEqual(batch!.answers.toNumbers().slice(0, 3));
    const [short] = spans.evalBatches("valid", { batchSize: 1, length: 20 });
    expect([short!.found.item(), short!.weights.item()]).toEqual([0, 1]);
    expect(() => spans.evalBatches("valid", { batchSize: 1, length: 6 })).toThrow("a question of 4 words does not fit");
    const trained = spans.trainBatch(1, 4).inputs.toNumbers();
    expect(trained).toEqual(questionsTask({ length: 40, words: 500 }).views.spans.trainBatch(1, 4).inputs.toNumbers());
  });

  it("are ten documents at least", async () => {
    const data = join(home, "few.json");
    writeFileSync(data, squad([{ text: "virus", answer_start: 3 }]));
    await expect(questionsEntry.make({ data })).rejects.toThrow("expected at least ten documents with questions");
  });
});
