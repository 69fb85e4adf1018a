import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { strToU8, zipSync } from "fflate";
import { afterAll, describe, expect, it } from "vitest";
import { createTask } from "../../../src/catalogue/tasks.ts";
import { readDataTexts } from "../../../src/io/data-texts.ts";
import { parseRunConfig, type RunConfigInput } from "../../../src/run/config.ts";
import { evaluateAtLengths } from "../../../src/run/evaluate-run.ts";
import { exportModelSafetensors } from "../../../src/run/export-model.ts";
import { generatorOf } from "../../../src/run/open-generator.ts";
import { openModel } from "../../../src/run/open-model.ts";
import { prepareEvaluation } from "../../../src/run/prepare-evaluation.ts";
import { trainRun } from "../../../src/run/train-run.ts";
import type { Task } from "../../../src/tasks/task.ts";
import { folderWith, rowsOf, sharedData } from "../data-fixtures.ts";

const files = {
  "sequences.fasta": ">a\nACDE\nFGH\n>b\nWYXU\n>c\nKL\n>d\nMN\n",
  "sampled.fasta":
    ">a SET=train VALIDATION=False\nCCEEHHH\n>b SET=train VALIDATION=True\nCEHH\n>c SET=test VALIDATION=False\nHE\n>d SET=test VALIDATION=False\nCC\n",
  "mask.fasta": ">a\n0111110\n>b\n1111\n>c\n01\n>d\n11\n",
};
const zip = zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [`splits/${name}`, strToU8(text)])));
const folder = folderWith({ ...files, "x/splits.zip": zip });
const make = (change: Readonly<Record<string, string>> = {}): Promise<Task> =>
  createTask("proteins", { data: folderWith({ ...files, ...change }), length: 8 });

type Read = { residues: string; structure: string; scored: string };

/** The rows of an evaluation as letters. */
const read = (task: Task, split: "valid" | "test", length: number, limit?: number): Read[] =>
  [...task.views.tagged!.evalBatches(split, { batchSize: 2, length, ...(limit !== undefined && { limit }) })].flatMap(
    (batch) => {
      const [inputs, targets, weights, masks] = [batch.inputs, batch.targets, batch.weights, batch.mask!].map(
        rowsOf,
      ) as [number[][], number[][], number[][], number[][]];
      return inputs.flatMap((row, i) => {
        const real = row.map((_, t) => t).filter((t) => masks[i]![t] === 1);
        if (real.length === 0) return [];
        return [
          {
            residues: real.map((t) => task.symbolOf!(row[t]!)).join(""),
            structure: real.map((t) => task.views.tagged!.classNames![targets[i]![t]!]).join(""),
            scored: real.map((t) => weights[i]![t]).join(""),
          },
        ];
      });
    },
  );

it("reads residues, their structure, and which are resolved", async () => {
  const task = await make();
  expect(read(task, "valid", 8)).toEqual([{ residues: "WYXX", structure: "CEHH", scored: "1111" }]);
  expect(read(task, "test", 8).sort((a, b) => (a.residues < b.residues ? -1 : 1))).toEqual([
    { residues: "KL", structure: "HE", scored: "01" },
    { residues: "MN", structure: "CC", scored: "11" },
  ]);
  const { inputs, targets, weights, mask } = task.views.tagged!.trainBatch(1, 1);
  expect(inputs.toNumbers()).toEqual([2, 3, 4, 5, 6, 7, 8, 0]);
  expect(targets.toNumbers()).toEqual([0, 0, 1, 1, 2, 2, 2, 0]);
  expect(weights.toNumbers()).toEqual([0, 1, 1, 1, 1, 1, 0, 0]);
  expect(mask!.toNumbers()).toEqual([1, 1, 1, 1, 1, 1, 1, 0]);
});

it("reads a protein that is longer than a row in parts; in training a part from anywhere", async () => {
  const task = await make();
  expect(read(task, "valid", 3)).toEqual([
    { residues: "WYX", structure: "CEH", scored: "111" },
    { residues: "X", structure: "H", scored: "1" },
  ]);
  expect(read(task, "valid", 3, 2)).toEqual([{ residues: "WYX", structure: "CEH", scored: "110" }]);
  const starts = new Set(
    Array.from({ length: 60 }, (_, step) => task.views.tagged!.trainBatch(step, 1, 3).inputs.toNumbers().join()),
  );
  expect(starts.size).toBe(5);
});

it("is the same from the zip", async () => {
  const fingerprints = await Promise.all(
    [folder.replace(/$/, "/x/splits.zip")].map(async (data) => (await createTask("proteins", { data })).fingerprint),
  );
  expect(fingerprints).toEqual([(await make()).fingerprint]);
  expect((await make({ "mask.fasta": files["mask.fasta"].replace("01\n", "11\n") })).fingerprint).not.toBe(
    fingerprints[0],
  );
});

it.each<[Readonly<Record<string, string>>, RegExp]>([
  [{ "mask.fasta": ">a\n0111110\n" }, /sampled.fasta: b is not in .*mask.fasta/],
  [{ "sequences.fasta": files["sequences.fasta"].replace("KL", "KLL") }, /c has 3 residues, 2 labels and 2 marks/],
  [{ "sampled.fasta": files["sampled.fasta"].replace("HE", "HQ") }, /sampled.fasta: c: expected C, E or H, got "Q"/],
  [
    { "sampled.fasta": files["sampled.fasta"].replace("SET=test", "SET=tset") },
    /expected SET=train or SET=test in the header/,
  ],
  [{ "sampled.fasta": files["sampled.fasta"].replace("VALIDATION=True", "") }, /has no protein for valid/],
  [{ "mask.fasta": "nothing" }, /mask.fasta: expected FASTA/],
])("refuses %o", async (change, message) => {
  await expect(make(change)).rejects.toThrow(message);
});

it("says what is missing", async () => {
  await expect(createTask("proteins")).rejects.toThrow(/^proteins: data is missing: expected the path of splits.zip/);
  const data = folderWith({ "mask.fasta": "" });
  await expect(createTask("proteins", { data })).rejects.toThrow(/expected a file sequences.fasta in it/);
});

describe("a run that tells a class at each position", async () => {
  const device = await openCpu();
  const home = mkdtempSync(join(tmpdir(), "tsformers-tag-"));
  afterAll(async () => {
    rmSync(home, { recursive: true, force: true });
    await device.close();
  });
  it.each(["gpt", "bert", "transformer-xl"])(
    "%s is trained, evaluated and exported, and the export is the run",
    async (kind) => {
      const settings: RunConfigInput = {
        task: { kind: "proteins", data: folder },
        length: 8,
        model: { kind, layers: 1, modelWidth: 16, heads: 2 },
        schedule: { kind: "constant" },
        batchSize: 2,
        steps: 40,
        evalEvery: 40,
      };
      const directory = join(home, kind);
      const { run, result } = await trainRun(settings, { directory, device });
      expect(run.config.objective).toEqual({ kind: "tag" });
      expect(result.step).toBe(40);
      const measured = async (from: string) => {
        const opened = await openModel(from);
        const reading = await prepareEvaluation(opened, { config: parseRunConfig(settings, "test"), otherData: true });
        const options = { split: "test", lengths: [8], batchTokens: 16 } as const;
        const [result] = await evaluateAtLengths(reading, opened.params as never, device, options);
        return (result as { totals: { tokens: number; lossSum: number } }).totals;
      };
      const totals = await measured(directory);
      expect(totals.tokens).toBe(3);
      const opened = await openModel(directory);
      expect(() => generatorOf(opened, device)).toThrow("this run tells classes; it writes nothing");
      await exportModelSafetensors(opened, join(home, `${kind}-export`));
      expect(await measured(join(home, `${kind}-export`))).toEqual(totals);
    },
  );
});

const data = sharedData("flip_secondary_structure/splits.zip");
const here = existsSync(data);
if (!here)
  console.warn("proteins.test.ts: the real data are not read: ../shared/data/flip_secondary_structure is not here");

describe.skipIf(!here)("FLIP, secondary structure", () => {
  it("has the official splits, residue by residue", async () => {
    const task = await createTask("proteins", { data });
    expect(task.fingerprint).toMatch(/rows=9712\+1080\+364 /);
    // Counted apart: resolved residues by their class, from the three texts line by line.
    const text = (name: string) =>
      readDataTexts(data, (one) => one.endsWith(name))[0]!
        .text.trim()
        .split("\n");
    const [labels, mask, sequences] = [text("sampled.fasta"), text("mask.fasta"), text("sequences.fasta")];
    const resolved = new Map(mask.flatMap((line, i) => (line.startsWith(">") ? [[line, mask[i + 1]!]] : [])));
    const residues = new Map(sequences.flatMap((line, i) => (line.startsWith(">") ? [[line, sequences[i + 1]!]] : [])));
    const expected = labels.flatMap((line, i) => {
      if (!line.includes("SET=test")) return [];
      const name = line.split(" ")[0]!;
      return [`${residues.get(name)!.replace(/[OU]/g, "X")} ${labels[i + 1]} ${resolved.get(name)}`];
    });
    const found = read(task, "test", 1632).map(
      ({ residues, structure, scored }) => `${residues} ${structure} ${scored}`,
    );
    expect(found.sort()).toEqual(expected.sort());
    expect(found.join("").match(/1/g)).toHaveLength(75_402);
  });
});
