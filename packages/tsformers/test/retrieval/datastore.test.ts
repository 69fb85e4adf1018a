import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { normal, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { exactSearch, openDatastore, writeDatastore } from "../../src/retrieval/index.ts";
import { type Made, randomStore, scratchFolder } from "./stores.ts";

const device = await openCpu();
const scratch = scratchFolder();
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await device.close();
});

const width = 5;
let folders = 0;
const fresh = () => join(scratch, `store-${folders++}`);

/** Every distance in float64, then sorted; of equal ones the lower entry first. */
function nearest({ keys, values }: Made, queries: Float32Array, k: number) {
  return Array.from({ length: queries.length / width }, (_, q) => {
    const all = Array.from(values, (value, entry) => {
      let distance = 0;
      for (let c = 0; c < width; c++) distance += (queries[q * width + c]! - keys[entry * width + c]!) ** 2;
      return { entry, value, distance };
    });
    return all.toSorted((a, b) => a.distance - b.distance || a.entry - b.entry).slice(0, k);
  });
}

const keyAt = ({ keys }: Made, entry: number) => [...keys.subarray(entry * width, (entry + 1) * width)];

describe("search", () => {
  test.each([
    ["all pages in memory", {}],
    ["one page in memory", { memoryBytes: 4 * 16 * width }],
    ["no page in memory, queries in three passes", { memoryBytes: 0, queriesPerPass: 3 }],
  ])("finds what looking at every entry finds: %s", async (_, options) => {
    const directory = fresh();
    const made = await randomStore(directory, { entries: 77, width, pageEntries: 16 });
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device, ...options });
    const queries = Float32Array.from(normal(randomKey(2), [7 * width]).data as Float32Array);
    queries.set(made.keys.subarray(40 * width, 41 * width));
    for (const k of [1, 9, 40, 77]) {
      const found = await search.search(queries, k);
      const expected = nearest(made, queries, k).flat();
      // Of equal distances any may be the last one.
      found.entries.forEach((entry, i) => {
        expect(made.values[entry]).toBe(found.values[i]);
        const own = expected[i]!.entry;
        if (entry !== own) expect(keyAt(made, entry)).toEqual(keyAt(made, own));
      });
      for (let q = 0; q < 7; q++) expect(new Set(found.entries.subarray(q * k, (q + 1) * k)).size).toBe(k);
      found.squaredDistances.forEach((distance, i) => {
        expect(distance).toBeCloseTo(expected[i]!.distance, 5);
      });
    }
    await search.release();
    await store.close();
  });

  test("distances are exact where keys are far from 0 and close to each other", async () => {
    const directory = fresh();
    const keys = Float32Array.of(1000, 1000, 1000, 1000.5, 1000, 1001);
    const writer = await writeDatastore(directory, { entries: 3, width: 2, vocabularySize: 4, model: "m", text: "t" });
    await writer.write(0, keys, Int32Array.of(1, 2, 3));
    await writer.finish();
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    const { squaredDistances } = await search.search(Float32Array.of(1000, 1000.75), 3);
    expect([...squaredDistances]).toEqual([0.0625, 0.0625, 0.5625]);
    await search.release();
    await store.close();
  });

  test.each([0, 78, 1.5])("%f neighbours of 77 entries are refused", async (k) => {
    const directory = fresh();
    await randomStore(directory, { entries: 77, width, pageEntries: 16 });
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    await expect(search.search(new Float32Array(width), k)).rejects.toThrow(
      `expected 1 to 77 neighbours, as many as it has entries, got ${k}`,
    );
    await store.close();
  });
});

describe("a folder that is not whole is refused in one line", () => {
  const flip = (file: string, at: number) => {
    const bytes = readFileSync(file);
    bytes[at]! ^= 1;
    writeFileSync(file, bytes);
  };
  test.each<[string, (directory: string) => void, string]>([
    ["missing", (directory) => rmSync(directory, { recursive: true }), "no such folder"],
    ["without its record", (directory) => rmSync(join(directory, "store.json")), "has no store.json"],
    ["keys cut off", (directory) => truncateSync(join(directory, "keys.f32"), 100), "expected 1540 bytes, found 100"],
    ["values missing", (directory) => rmSync(join(directory, "values.i32")), "no such file"],
    ["a bit of the values is another", (directory) => flip(join(directory, "values.i32"), 9), "is damaged"],
    ["another format", (directory) => change(directory, { format: "tsformers datastore 2" }), "tsformers datastore 1"],
    ["a number of pages that is not", (directory) => change(directory, { pageEntries: 8 }), "the number of sums"],
    ["an enormous number of entries", (directory) => change(directory, { entries: 2 ** 40 }), "entries"],
  ])("%s", async (_, harm, words) => {
    const directory = fresh();
    await randomStore(directory, { entries: 77, width, pageEntries: 16 });
    harm(directory);
    const error = await openDatastore(directory).catch((error: Error) => error);
    expect(String(error)).toContain(words);
    expect(String(error)).toContain(directory);
    expect(String(error)).not.toContain("\n");
  });

  test("a bit of the keys is another: the page is named when it is read", async () => {
    const directory = fresh();
    await randomStore(directory, { entries: 77, width, pageEntries: 16 });
    flip(join(directory, "keys.f32"), 20 * 4 * width);
    const store = await openDatastore(directory);
    const search = exactSearch(store, { device });
    await expect(search.search(new Float32Array(width), 3)).rejects.toThrow("is damaged in its entries 16 … 31");
    await store.close();
  });

  function change(directory: string, by: object): void {
    const file = join(directory, "store.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...by }));
  }
});

describe("writing", () => {
  const about = { entries: 3, width: 2, vocabularySize: 4, model: "m", text: "t" };

  test("a folder is there when it is finished, and not before", async () => {
    const directory = fresh();
    const writer = await writeDatastore(directory, about);
    await writer.write(0, new Float32Array(4), new Int32Array(2));
    expect(existsSync(directory)).toBe(false);
    await expect(writer.finish()).rejects.toThrow("2 of 3 entries were written");
    await writer.write(2, new Float32Array(2), new Int32Array(1));
    await writer.finish();
    expect(readdirSync(directory).toSorted()).toEqual(["keys.f32", "store.json", "values.i32"]);
  });

  test("nothing is left of what was abandoned, and a folder that is there is not replaced", async () => {
    const directory = fresh();
    const writer = await writeDatastore(directory, about);
    await expect(writeDatastore(directory, about)).rejects.toThrow("is at work here");
    await writer.abandon();
    expect(readdirSync(scratch).filter((name) => name.startsWith("."))).toEqual([]);
    mkdirSync(directory);
    await expect(writeDatastore(directory, about)).rejects.toThrow("is there already");
  });

  test("what a killed program left is removed by the next one", async () => {
    const directory = fresh();
    const partial = join(scratch, `.${directory.split("/").at(-1)}.partial`);
    mkdirSync(partial);
    writeFileSync(join(partial, "keys.f32"), "half");
    writeFileSync(`${partial}.lock`, "");
    const made = await randomStore(directory, { entries: 7, width, pageEntries: 16 });
    const store = await openDatastore(directory);
    expect([...store.values]).toEqual([...made.values]);
    await store.close();
    expect(existsSync(partial)).toBe(false);
  });
});
