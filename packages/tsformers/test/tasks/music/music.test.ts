import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { exampleOf } from "../../../src/tasks/example.ts";
import { readChorales } from "../../../src/tasks/music/chorales.ts";
import { musicTask } from "../../../src/tasks/music/music.ts";
import type { Task } from "../../../src/tasks/task.ts";
import { folderWith, rowsOf, sharedData } from "../data-fixtures.ts";

/** Pieces whose pitches tell piece, sixteenth and voice: 100 steps of piece p are p·25 …, four notes each. */
const piece = (p: number, steps: number) =>
  Array.from({ length: steps }, (_, step) =>
    [0, 1, 2, 3].map((voice) => (step === 1 && voice === 0 ? -1 : 60 * p + 4 * (step % 12) + voice)),
  );
const pieces = { train: [piece(0, 12), piece(1, 7)], valid: [piece(0, 5)], test: [piece(1, 6), piece(0, 3)] };
const tokensOf = (notes: readonly (readonly number[])[]) => notes.flat().map((pitch) => (pitch < 0 ? 1 : pitch + 2));

/** The tokens that an evaluation scores, in order, and what stands before each. */
const scored = (task: Task, length: number, limit?: number): [before: number, token: number][] =>
  [...task.views.next!.evalBatches("test", { batchSize: 2, length, ...(limit !== undefined && { limit }) })].flatMap(
    (batch) => {
      const [inputs, targets, weights] = [batch.inputs, batch.targets, batch.weights].map((array) =>
        array.toNumbers(),
      ) as [number[], number[], number[]];
      return targets.flatMap((token, t): [number, number][] => (weights[t] === 1 ? [[inputs[t]!, token]] : []));
    },
  );

it("scores every note of every piece once, at any length, each after the note before it", () => {
  const task = musicTask({ pieces });
  const expected = pieces.test.flatMap((one) =>
    tokensOf(one).map((token, t, all): [number, number] => [t === 0 ? 0 : all[t - 1]!, token]),
  );
  for (const length of [4, 7, 8, 16, 64]) expect(scored(task, length)).toEqual(expected);
  expect(scored(task, 9, 10)).toEqual(expected.slice(0, 10));
  expect(() => task.views.next!.trainBatch(1, 1, 3)).toThrow("music: a sixteenth has 4 notes, got a length of 3");
});

it("trains on parts of one piece that begin at any sixteenth, soprano first", () => {
  const task = musicTask({ pieces });
  const seen = new Set<string>();
  const whole = pieces.train.map((one) => [0, ...tokensOf(one)]);
  for (let step = 0; step < 40; step++) {
    const { inputs, targets } = task.views.next!.trainBatch(step, 8, 18);
    rowsOf(inputs).forEach((row, i) => {
      const next = rowsOf(targets)[i]!.slice(0, 16);
      const places = whole.flatMap((tokens, p) =>
        tokens.flatMap((_, at) =>
          at % 4 === 0 && tokens.slice(at, at + 16).join() === row.slice(0, 16).join() ? [[p, at] as const] : [],
        ),
      );
      expect(places).toHaveLength(1);
      const [p, at] = places[0]!;
      expect(next).toEqual(whole[p]!.slice(at + 1, at + 17));
      seen.add(`${p} ${at / 4}`);
    });
  }
  // Rows of four sixteenths: from 0 to 8 of the first piece, from 0 to 3 of the second.
  expect(seen.size).toBe(9 + 4);
});

it("hides notes, and nothing but notes", () => {
  const task = musicTask({ pieces });
  for (let step = 0; step < 20; step++) {
    const { inputs, targets, weights } = task.views.masked.trainBatch(step, 4, 16);
    targets.toNumbers().forEach((token, t) => {
      if (weights.toNumbers()[t] === 0) return;
      expect(token).toBeGreaterThan(0);
      expect(inputs.toNumbers()[t]).toBeLessThanOrEqual(130);
    });
  }
  expect(task.views.masked.vocabularySize).toBe(131);
});

it("names notes", () => {
  const { symbolOf, vocabularySize } = musicTask({ pieces });
  expect([0, 1, 2, 62, 68, 71, 129].map(symbolOf!)).toEqual(["|", "rest", "C-1", "C4", "F#4", "A4", "G9"]);
  expect(new Set(Array.from({ length: vocabularySize }, (_, token) => symbolOf!(token))).size).toBe(vocabularySize);
});

it("reports nats per note and per sixteenth", () => {
  const totals = { lossSum: 6, tokens: 12, correct: 3, rows: 1, exactRows: 0 };
  expect(musicTask({ pieces }).metrics.map((metric) => metric.value(totals))).toEqual([0.5, 2, 0.25]);
});

it("reads JSON, and says where it is wrong", async () => {
  const folder = folderWith({
    "songs.json": JSON.stringify(pieces),
    "note.json": JSON.stringify({ ...pieces, valid: [[[1, 2, 3, 128]]] }),
  });
  const task = await createTask("music", { data: join(folder, "songs.json") });
  expect(task.fingerprint).toBe(musicTask({ pieces }).fingerprint);
  expect(musicTask({ pieces: { ...pieces, test: [piece(1, 5)] } }).fingerprint).not.toBe(task.fingerprint);
  await expect(createTask("music", { data: join(folder, "note.json") })).rejects.toThrow(
    /note.json: "valid.0.0.3": expected .*128/,
  );
  await expect(createTask("music", { data: folder })).rejects.toThrow(/has note.json and songs.json; give one of them/);
  expect(() => readChorales("{", "x")).toThrow(/^x: expected JSON; /);
  expect(() => readChorales('{"train":[[[60,60,60]]]}', "x")).toThrow(/x: .*train/);
  await expect(createTask("music")).rejects.toThrow(/^music: data is missing: expected the path of a JSON file/);
});

const data = sharedData("js_fakes/js_fakes_16th.json");
const here = existsSync(data);
if (!here) console.warn("music.test.ts: the real data are not read: ../shared/data/js_fakes is not here");

describe.skipIf(!here)("JS Fakes", () => {
  it("has as many notes to score as the file has", async () => {
    const task = await createTask("music", { data });
    const { test } = JSON.parse(readFileSync(data, "utf8")) as { test: number[][][] };
    expect(scored(task, 256).map(([, token]) => token)).toEqual(test.flatMap((one) => tokensOf(one)));
    expect(exampleOf(task).input).toMatch(/^(\|| ?[A-G]#?\d)/);
  });
});
