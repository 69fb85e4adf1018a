import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { normal, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { approximateSearch, exactSearch, openDatastore, recallOf } from "../../src/retrieval/index.ts";
import { randomStore, scratchFolder } from "./stores.ts";

const isInstalled = await import("usearch" as string).then(
  () => true,
  () => false,
);
const device = await openCpu();
const scratch = scratchFolder();
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await device.close();
});

const width = 16;
const made = async (name: string) => {
  const directory = join(scratch, name);
  await randomStore(directory, { entries: 2000, width, pageEntries: 512 });
  return openDatastore(directory);
};

test("recall counts exact neighbours, whatever their order", () => {
  const of = (...entries: number[]) => ({ k: 2, entries: Int32Array.from(entries) }) as never;
  expect(recallOf(of(3, 1, 8, 9), of(1, 3, 8, 7))).toBe(0.75);
});

test.skipIf(isInstalled)("without usearch it says what to install", async () => {
  const store = await made("none");
  await expect(approximateSearch(store)).rejects.toThrow("npm install usearch");
  await store.close();
});

describe.skipIf(!isInstalled)("with usearch", () => {
  test("nearly all of the nearest are found, with exact distances, and again from the folder", async () => {
    const store = await made("store");
    const queries = normal(randomKey(3), [50 * width]).data as Float32Array;
    const exact = await exactSearch(store, { device }).search(queries, 10);
    for (let time = 0; time < 2; time++) {
      const found = await (await approximateSearch(store)).search(queries, 10);
      const recall = recallOf(found, exact);
      console.log(`recall@10: ${recall}`);
      expect(recall).toBeGreaterThan(0.95);
      expect(found.squaredDistances[0]).toBe(exact.squaredDistances[0]);
    }
    await store.close();
  });

  test("a damaged graph is refused", async () => {
    const store = await made("damaged");
    await approximateSearch(store);
    const path = join(store.directory, "hnsw.usearch");
    const bytes = readFileSync(path);
    bytes[1000]! ^= 1;
    writeFileSync(path, bytes);
    await expect(approximateSearch(store)).rejects.toThrow("is damaged");
    await expect(approximateSearch(store, { connectivity: 8 })).rejects.toThrow("was built with connectivity 16");
    await store.close();
  });
});
