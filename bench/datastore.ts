import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { normal, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { exactSearch, openDatastore, writeDatastore } from "tsformers/retrieval";
import { type Bench, compareRow } from "./bench.ts";

const [width, neighbours, queries] = [64, 16, 64];
/** More than stays in memory: pages are read again for each search. */
const [entries, memoryBytes] = [10_000_000, 2 ** 28];

/** Exact search in a datastore that is larger than what is kept of it in memory. */
export const datastore: Bench = {
  name: "datastore",
  onlyWhenNamed: true,
  about: `exact search among ${entries.toLocaleString("en-US")} keys of ${width} features, ${memoryBytes / 2 ** 20} MiB of them in memory`,
  run: async () => {
    const folder = mkdtempSync(join(tmpdir(), "tsformers-bench-datastore-"));
    const device = await openCpu();
    try {
      const directory = join(folder, "store");
      const about = { entries, width, vocabularySize: 1000, model: "random", text: "random" };
      const writer = await writeDatastore(directory, about);
      const piece = 100_000;
      const build = await timed(async () => {
        for (let entry = 0; entry < entries; entry += piece) {
          const keys = normal(randomKey(entry), [piece * width]).data as Float32Array;
          await writer.write(entry, keys, new Int32Array(piece).fill(entry % 1000));
        }
        await writer.finish();
      });
      const store = await openDatastore(directory);
      const search = exactSearch(store, { device, memoryBytes });
      const sought = normal(randomKey(-1), [queries * width]).data as Float32Array;
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage().rss);
      }, 50);
      const first = await timed(() => search.search(sought, neighbours));
      const second = await timed(() => search.search(sought, neighbours));
      clearInterval(watch);
      await search.release();
      await store.close();
      const name = `datastore ${entries / 1e6}M × ${width}`;
      const row = (metric: string, unit: string, value: number) =>
        compareRow(name, metric, unit, "lower", value, null, null);
      return [
        row("write", "s", build),
        row(`${queries} queries, k ${neighbours}, checked`, "s", first),
        row(`${queries} queries, k ${neighbours}`, "s", second),
        row("peak memory of the process", "MiB", peak / 2 ** 20),
      ];
    } finally {
      await device.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
