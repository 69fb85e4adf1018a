import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { encodePng } from "../../../src/io/png.ts";
import { exampleOf } from "../../../src/tasks/example.ts";
import { maxRegressionTask } from "../../../src/tasks/sets/max-regression.ts";
import { readCharacters } from "../../../src/tasks/sets/read-characters.ts";
import { uniqueCharactersTask } from "../../../src/tasks/sets/unique-characters.ts";
import type { QuantitiesBatch } from "../../../src/tasks/task.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-characters-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** The vectors of each set, and its number. */
function setsOf({ inputs, mask, quantities }: QuantitiesBatch): { vectors: number[][]; quantity: number }[] {
  const [rows, length, features] = inputs.shape as [number, number, number];
  const [values, isReal, told] = [inputs.toNumbers(), mask.toNumbers(), quantities.toNumbers()];
  return Array.from({ length: rows }, (_, b) => {
    const size = isReal.slice(b * length, (b + 1) * length).reduce((sum, one) => sum + one, 0);
    const at = (t: number): number => (b * length + t) * features;
    const vectors = Array.from({ length: size }, (_, t) => values.slice(at(t), at(t) + features));
    return { vectors, quantity: told[b]! };
  });
}

describe("max-regression", () => {
  const task = maxRegressionTask();

  it("asks for the largest of 1 to 10 numbers between 0 and 100, in sets of differing size", () => {
    const sets = setsOf(task.views.quantities.trainBatch(3, 400));
    expect(new Set(sets.map(({ vectors }) => vectors.length)).size).toBe(10);
    for (const { vectors, quantity } of sets) {
      expect(quantity).toBeCloseTo(100 * Math.max(...vectors.flat()), 4);
      expect(vectors.flat().every((value) => value >= 0 && value < 1)).toBe(true);
    }
    const all = sets.flatMap(({ vectors }) => vectors.flat());
    expect(all.reduce((sum, value) => sum + value, 0) / all.length).toBeCloseTo(0.5, 1);
  });

  it("is shown as its numbers", () => {
    expect(exampleOf(task)).toEqual({
      view: "quantities",
      input: expect.stringMatching(/^\d+\.\d( \d+\.\d)*$/),
      expected: expect.stringMatching(/^the number \d+\.\d$/),
      scored: "the number told of the set",
    });
  });
});

/** Pictures of 24 × 24 pixels: character c is a dark line at row c % 24, its hand h the shade of one of its pixels. */
function drawn(character: number, hand: number, side = 24): Uint8Array {
  const values = new Uint8Array(side * side).fill(255);
  values.fill(0, (character % side) * side, (character % side) * side + 12);
  values[(character % side) * side + 1 + Math.floor(character / side)] = 100 + hand;
  return encodePng(values, { rows: side, columns: side, channels: 1 });
}

const files = (characters: number, hands = 3): Record<string, Uint8Array> =>
  Object.fromEntries(
    Array.from({ length: characters * hands }, (_, i) => {
      const [character, hand] = [Math.floor(i / hands), i % hands];
      const folder = `letters/Alphabet${character % 2}/character${String(character).padStart(2, "0")}`;
      return [`${folder}/00${character}_0${hand}.png`, drawn(character, hand)];
    }),
  );

function folder(name: string, given: Readonly<Record<string, Uint8Array>>): string {
  for (const [file, bytes] of Object.entries(given)) {
    mkdirSync(join(home, name, dirname(file)), { recursive: true });
    writeFileSync(join(home, name, file), bytes);
  }
  return join(home, name);
}

describe("unique-characters", () => {
  it("reads a folder, a zip, and a folder of zips, as ink on nothing", () => {
    const all = files(6);
    const unpacked = readCharacters(folder("plain", all));
    expect(unpacked).toMatchObject({ side: 24, characters: { length: 6 } });
    expect(unpacked.characters.every((pictures) => pictures.length === 3)).toBe(true);
    const [picture] = unpacked.characters[0]!;
    expect(Array.from(picture!.slice(0, 14))).toEqual([255, 155, ...new Array(10).fill(255), 0, 0]);
    const zips = folder("zips", { "one.zip": zipSync(all), "SOURCE.txt": Buffer.from("where from") });
    expect(readCharacters(zips).identity).toBe(unpacked.identity);
    expect(readCharacters(join(zips, "one.zip")).identity).toBe(unpacked.identity);
  });

  it("asks how many characters a set has, of others in each split", () => {
    const characters = readCharacters(folder("many", files(40)));
    const task = uniqueCharactersTask({ characters, size: 24, length: 4 });
    const { quantities } = task.views;
    expect(quantities.quantity).toEqual({ features: 576, side: 24, error: { kind: "poisson", most: 4 } });
    // Which character a picture shows: the row that has ink, and how far its faint pixel is from the left.
    const shown = (vector: readonly number[]): string => {
      const row = Math.floor(vector.findIndex((ink) => ink > 0) / 24);
      return `${row} ${vector.slice(row * 24, row * 24 + 12).findIndex((ink) => ink < 0.7)}`;
    };
    const seen = [
      [quantities.trainBatch(1, 300)],
      [...quantities.evalBatches("valid", { batchSize: 64, length: 4, limit: 64 })],
      [...quantities.evalBatches("test", { batchSize: 64, length: 4, limit: 64 })],
    ].map((batches) => {
      const sets = batches.flatMap(setsOf);
      for (const { vectors, quantity } of sets) expect(new Set(vectors.map(shown)).size).toBe(quantity);
      expect(new Set(sets.map(({ vectors }) => vectors.length))).toEqual(new Set([3, 4]));
      expect(new Set(sets.map(({ quantity }) => quantity))).toEqual(new Set([1, 2, 3, 4]));
      return new Set(sets.flatMap(({ vectors }) => vectors.map(shown)));
    });
    expect(seen.map(({ size }) => size)).toEqual([32, 4, 4]);
    expect(new Set(seen.flatMap((characters) => [...characters])).size).toBe(40);
    expect(exampleOf(task)).toMatchObject({ expected: expect.stringMatching(/^the count [1-4]$/) });
  });

  it.each([
    ["nothing", () => ({}), /no such file or folder/],
    ["no pictures", () => ({ data: folder("texts", { "a.txt": Buffer.from("a") }) }), /has no characters/],
    [
      "pictures of two sizes",
      () => ({ data: folder("uneven", { "a/1.png": drawn(1, 1), "a/2.png": drawn(1, 1, 30) }) }),
      /2\.png: expected 24 × 24 pixels, as others have, got 30 × 30/,
    ],
    [
      "a damaged picture",
      () => ({ data: folder("damaged", { "a/1.png": drawn(1, 1).subarray(0, 50) }) }),
      /1\.png: the PNG file is damaged/,
    ],
    ["a size that is too large", () => ({ data: folder("many", {}), size: 25 }), /from 22 to 24, got 25/],
    ["a size that is too small", () => ({ data: folder("many", {}), size: 21 }), /size/],
    [
      "sets larger than a split has characters",
      () => ({ data: folder("many", {}), size: 24, length: 5 }),
      /smallest split has 4 characters.*got 5/,
    ],
  ])("refuses %s in one line", async (_, options, problem) => {
    const given = { data: join(home, "nowhere"), ...options() };
    await expect(createTask("unique-characters", given)).rejects.toThrow(problem);
  });

  it("refuses sets larger than a split has characters when it is evaluated", () => {
    const task = uniqueCharactersTask({ characters: readCharacters(join(home, "many")), size: 24, length: 4 });
    expect(() => task.views.quantities.evalBatches("test", { batchSize: 1, length: 6 })).toThrow("got 6");
  });
});
