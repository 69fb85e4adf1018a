import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeSafetensors, NDArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spalm } from "../../src/models/decoders/spalm.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import type { LanguageModel } from "../../src/models/language-model.ts";
import { tokenObjective } from "../../src/objectives/index.ts";
import {
  buildDatastore,
  exactSearch,
  findNeighbours,
  openDatastore,
  readNeighbourTable,
  writeNeighbourTable,
} from "../../src/retrieval/index.ts";
import { readText } from "../../src/retrieval/text-reader.ts";
import type { Batch, EvalSplit } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { type NeighbourTable, withNeighbours } from "../../src/tasks/text/with-neighbours.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { adamw, constantRate, train } from "../../src/train/index.ts";
import { scratchFolder } from "./stores.ts";

const device = await openCpu();
const scratch = scratchFolder();
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await device.close();
});

const text = "Pack my box with five dozen liquor jugs. How vexingly quick daft zebras jump! ".repeat(5);
const task = textTask({ text, tokenizer: characterTokenizer, length: 6 });
const { vocabularySize } = task;
const sizes = { vocabularySize, layers: 1, modelWidth: 8, heads: 2, memoryLength: 5 };
const names = ["train", "valid", "test"] as const;

describe("neighbours of a text", () => {
  const model = transformerXl(sizes) as LanguageModel;
  const params = model.init(randomKey(1)) as unknown;
  const reading = { model, params, text: task.text, device, batchSize: 2, length: 6 };
  const count = 3;
  let table: NeighbourTable;
  beforeAll(async () => {
    await buildDatastore({ ...reading, split: "train", directory: join(scratch, "store") });
    const store = await openDatastore(join(scratch, "store"));
    const search = exactSearch(store, { device });
    table = await findNeighbours({ ...reading, store, search, count, queriesPerSearch: 50 });
    await search.release();
    await store.close();
  });

  /** Keys and targets of a split in order. */
  const keysOf = async (split: "train" | EvalSplit) => {
    const [keys, targets]: [number[][], number[]] = [[], []];
    for await (const stretch of readText({ ...reading, split }))
      stretch.targets.forEach((target, i) => {
        keys[stretch.place + i] = [...stretch.keys.subarray(8 * i, 8 * (i + 1))];
        targets[stretch.place + i] = target;
      });
    return { keys, targets };
  };

  test.each(names)("of %s are what comparing with every context gives, its own entry left out", async (split) => {
    const train = await keysOf("train");
    const own = split === "train" ? train : await keysOf(split);
    own.keys.forEach((key, place) => {
      const distances = train.keys.map((other, entry) => ({
        token: train.targets[entry]!,
        distance:
          split === "train" && entry === place ? Infinity : other.reduce((d, x, c) => d + (x - key[c]!) ** 2, 0),
      }));
      const sorted = distances.toSorted((a, b) => a.distance - b.distance);
      const found = [...table.splits[split].subarray(place * count, (place + 1) * count)].toSorted();
      // Where the next one is as near, either may be among them.
      if (sorted[count]!.distance - sorted[count - 1]!.distance < 1e-4) return;
      expect(found).toEqual(
        sorted
          .slice(0, count)
          .map(({ token }) => token)
          .toSorted(),
      );
    });
  });

  test("are read back from their file", async () => {
    const path = join(scratch, "table.neighbours");
    await writeNeighbourTable(path, table);
    expect(await readNeighbourTable(path)).toEqual(table);
  });

  test.each<[string, () => Uint8Array | string, string]>([
    ["no such arrays", () => "nothing", "nothing.bin"],
    ["other arrays", () => encodeSafetensors({ a: new NDArray([1], "int32", Int32Array.of(1)) }), "found other arrays"],
    [
      "no table for a split",
      () => encodeSafetensors({ train: int([2, 1]) }, { format: "tsformers neighbours 1", text: "t" }),
      "has no table of valid",
    ],
    [
      "tables of several widths",
      () =>
        encodeSafetensors(
          { train: int([2, 1]), valid: int([1, 2]), test: int([2, 1]) },
          { format: "tsformers neighbours 1", text: "t" },
        ),
      "differ in width",
    ],
  ])("a file with %s is refused", async (_, contents, words) => {
    const path = join(scratch, "nothing.bin");
    writeFileSync(path, contents());
    await expect(readNeighbourTable(path)).rejects.toThrow(words);
  });
});

const int = (shape: [number, number]) => new NDArray(shape, "int32", new Int32Array(shape[0] * shape[1]));

/** The first neighbour of each token is the token that follows it. */
function oracle(): NeighbourTable {
  const of = (split: "train" | EvalSplit) => {
    const tokens = task.text.splits[split];
    const all = tokens.read(0, tokens.length);
    return Int32Array.from({ length: 2 * tokens.length }, (_, i) => (i % 2 === 0 ? (all[i / 2 + 1] ?? 0) : 1));
  };
  return {
    count: 2,
    text: task.text.fingerprint,
    sum: "s",
    splits: { train: of("train"), valid: of("valid"), test: of("test") },
  };
}

describe("a text with neighbours", () => {
  const other = withNeighbours(task, oracle());

  test("gives each position its own, in training and evaluation", () => {
    const check = ({ neighbours, targets, weights }: Batch) => {
      expect(neighbours!.shape).toEqual([...targets.shape, 2]);
      weights.data.forEach((weight, i) => {
        if (weight === 1) expect(neighbours!.data[2 * i]).toBe(targets.data[i]);
      });
    };
    const { segments } = other.views;
    // Passes over the split begin at other places.
    for (let step = 1; step <= 60; step += 7) check(segments.trainBatch(step, 3, 6));
    for (const split of ["valid", "test"] as const)
      for (const length of [4, 6])
        for (const batch of segments.evalBatches(split, { batchSize: 2, length })) check(batch);
  });

  test("is another task than the text alone", () => {
    expect(other.fingerprint).toBe(`${task.fingerprint} neighbours=s`);
  });

  test.each<[string, Partial<NeighbourTable>, string]>([
    ["of another text", { text: "another" }, "is for another text (another;"],
    ["of another length", { count: 3 }, "expected 1053 neighbours for train"],
    [
      "with tokens that do not exist",
      { splits: { ...oracle().splits, test: oracle().splits.test.map(() => 99) } },
      "found 99",
    ],
  ])("a table %s is refused", (_, change, words) => {
    expect(() => withNeighbours(task, { ...oracle(), ...change })).toThrow(words);
  });

  test("a SPALM that is handed the answers learns to take them", async () => {
    const model = spalm({ ...sizes, modelWidth: 16 });
    const objective = tokenObjective(model, { segments: true });
    const run = async (of: typeof task) => {
      const options = { optimiser: adamw(), schedule: constantRate(2e-2), steps: 60, batchSize: 4, length: 6, device };
      const { evaluation } = await train({ objective, task: of, view: of.views.segments, ...options });
      return evaluation!.totals.lossSum / evaluation!.totals.tokens;
    };
    expect(await run(other)).toBeLessThan(0.85 * (await run(task)));
  });

  test("other models refuse neighbours in one line", async () => {
    const objective = tokenObjective(transformerXl(sizes), { segments: true });
    const options = { optimiser: adamw(), schedule: constantRate(1e-3), steps: 1, batchSize: 2, length: 6, device };
    await expect(train({ objective, task: other, view: other.views.segments, ...options })).rejects.toThrow(
      "transformer-xl: reads no neighbours; spalm does",
    );
  });
});
