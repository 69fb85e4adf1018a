import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromNumbers } from "@tsformers/engine";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type Checkpoint, checkpointStore, readCheckpoint } from "../../src/train/checkpoint.ts";

const at = (step: number): Checkpoint => ({
  step,
  tensors: new Map([
    ["layers.0.weight", fromNumbers([step, 2, 3, 4, 5, 6], [2, 3])],
    ["count", fromNumbers([step], [], "int32")],
  ]),
  state: { step, name: "run", best: [1, null, { loss: 0.1 }] },
});

describe("checkpointStore", () => {
  let directory: string;
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), "checkpoint-")), "run");
  });
  afterEach(() => rmSync(join(directory, ".."), { recursive: true }));
  const names = (): string[] => readdirSync(directory).sort();
  const fill = async (steps: number[], keep = 9): Promise<void> => {
    const store = checkpointStore(directory, { keep });
    for (const step of steps) await store.save(at(step));
  };

  it("returns what was saved", async () => {
    const store = checkpointStore(directory);
    const path = await store.save(at(100));
    expect(path).toBe(join(directory, "step-00000100"));
    expect(await store.latest()).toEqual({ checkpoint: at(100), problems: [] });
    expect(await readCheckpoint(path)).toEqual(at(100));
  });

  it("has nothing to return from a directory that is empty or missing", async () => {
    expect(await checkpointStore(directory).latest()).toEqual({ checkpoint: undefined, problems: [] });
    expect(existsSync(directory)).toBe(false);
  });

  it("keeps the newest, by number", async () => {
    await fill([9, 10, 100, 99_999_999, 100_000_000], 2);
    expect(names()).toEqual(["step-100000000", "step-99999999"]);
    expect((await checkpointStore(directory).latest()).checkpoint?.step).toBe(100_000_000);
  });

  it("replaces a checkpoint of the same step", async () => {
    await fill([5, 5]);
    const changed = { ...at(5), state: "changed" };
    await checkpointStore(directory).save(changed);
    expect((await checkpointStore(directory).latest()).checkpoint).toEqual(changed);
    expect(names()).toEqual(["step-00000005"]);
  });

  it("removes what crashed saves left, and nothing else", async () => {
    mkdirSync(join(directory, ".step-00000007.123-deadbeef.tmp"), { recursive: true });
    writeFileSync(join(directory, ".step-00000007.123-deadbeef.tmp", "state.json"), "{");
    writeFileSync(join(directory, "metrics.jsonl"), "");
    mkdirSync(join(directory, "step-by-step"));
    expect((await checkpointStore(directory).latest()).problems).toEqual([]);
    await fill([8]);
    expect(names()).toEqual(["metrics.jsonl", "step-00000008", "step-by-step"]);
  });

  it("refuses a step or keep that is none", async () => {
    await expect(checkpointStore(directory).save(at(-1))).rejects.toThrow(/step must be an integer ≥ 0, got -1/);
    expect(() => checkpointStore(directory, { keep: 0 })).toThrow(/keep must be an integer ≥ 1/);
  });

  describe("passes over a checkpoint that is not whole, says why, and takes the one before", () => {
    const damages: [string, (path: string) => void, RegExp][] = [
      ["no manifest", (path) => rmSync(join(path, "manifest.json")), /manifest\.json: missing/],
      ["no tensors", (path) => rmSync(join(path, "tensors.safetensors")), /tensors\.safetensors: missing/],
      ["no state", (path) => rmSync(join(path, "state.json")), /state\.json: missing/],
      ["nothing in it", (path) => emptyDirectory(path), /manifest\.json: missing/],
      ["a file in its place", (path) => replaceByFile(path), /missing; the checkpoint is torn or not one/],
      [
        "a manifest of zeros",
        (path) => writeFileSync(join(path, "manifest.json"), new Uint8Array(300)),
        /expected JSON/,
      ],
      [
        "a foreign manifest",
        (path) => writeFileSync(join(path, "manifest.json"), '{"step":20}'),
        /not a checkpoint of this program/,
      ],
      [
        "a newer version",
        (path) => edit(path, '"version": 1', '"version": 2'),
        /not a checkpoint of this program.*version 1/s,
      ],
      [
        "another step's manifest",
        (path) => edit(path, '"step": 20', '"step": 21'),
        /name says step 20, the manifest says 21/,
      ],
      [
        "another step's files",
        (path) => cpSync(path.replace("20", "10"), path, { recursive: true, force: true }),
        /says step 20, the manifest says 10/,
      ],
    ];
    it.each(damages)("%s", async (_, damage, message) => {
      await fill([10, 20]);
      damage(join(directory, "step-00000020"));
      const { checkpoint, problems } = await checkpointStore(directory).latest();
      expect(checkpoint).toEqual(at(10));
      expect(problems).toHaveLength(1);
      expect(problems[0]!.path).toBe(join(directory, "step-00000020"));
      expect(problems[0]!.message).toMatch(message);
      expect(problems[0]!.message).toContain(join(directory, "step-00000020"));
    });

    it.each(["manifest.json", "tensors.safetensors", "state.json"])("%s cut at any byte", async (file) => {
      await fill([10, 20]);
      const path = join(directory, "step-00000020", file);
      const bytes = readFileSync(path);
      // The manifest's last byte is a line feed after the closing brace, which says nothing.
      const last = file === "manifest.json" ? bytes.length - 2 : bytes.length - 1;
      for (let length = last; length >= 0; length -= 7) {
        truncateSync(path, length);
        const { checkpoint, problems } = await checkpointStore(directory).latest();
        expect(checkpoint?.step, `cut at ${length}`).toBe(10);
        expect(problems[0]!.message).toMatch(/torn/);
      }
    });

    it.each(["tensors.safetensors", "state.json"])("%s with any byte changed", async (file) => {
      await fill([10, 20]);
      const path = join(directory, "step-00000020", file);
      const bytes = readFileSync(path);
      for (let index = 0; index < bytes.length; index += 5) {
        const changed = Uint8Array.from(bytes);
        changed[index]! ^= 1;
        writeFileSync(path, changed);
        const { checkpoint, problems } = await checkpointStore(directory).latest();
        expect(checkpoint?.step, `byte ${index}`).toBe(10);
        expect(problems[0]!.message).toMatch(/checksum differs/);
      }
    });
  });

  it("reports every one when none is whole", async () => {
    await fill([10, 20]);
    for (const name of names()) rmSync(join(directory, name, "state.json"));
    const { checkpoint, problems } = await checkpointStore(directory).latest();
    expect(checkpoint).toBeUndefined();
    expect(problems.map(({ path }) => path)).toEqual([20, 10].map((step) => join(directory, `step-000000${step}`)));
  });

  it("lets no damaged checkpoint push out a whole one", async () => {
    await fill([10, 20, 30]);
    rmSync(join(directory, "step-00000030", "state.json"));
    rmSync(join(directory, "step-00000020", "state.json"));
    await fill([25], 2);
    expect(names()).toEqual(["step-00000010", "step-00000020", "step-00000025", "step-00000030"]);
    expect((await checkpointStore(directory).latest()).checkpoint?.step).toBe(25);
    await fill([30], 2);
    expect((await checkpointStore(directory).latest()).checkpoint).toEqual(at(30));
  });
});

function emptyDirectory(path: string): void {
  rmSync(path, { recursive: true });
  mkdirSync(path);
}

function replaceByFile(path: string): void {
  rmSync(path, { recursive: true });
  writeFileSync(path, "not a directory");
}

function edit(path: string, from: string, to: string): void {
  const manifest = join(path, "manifest.json");
  const text = readFileSync(manifest, "utf8");
  expect(text).toContain(from);
  writeFileSync(manifest, text.replace(from, to));
}
