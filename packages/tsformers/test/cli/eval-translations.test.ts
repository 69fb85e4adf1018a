import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDevice } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openModel } from "../../src/run/open-model.ts";
import { prepareEvaluation } from "../../src/run/prepare-evaluation.ts";
import { scoreTranslations } from "../../src/run/score-translations.ts";
import { bleu } from "../../src/tasks/translation/bleu.ts";
import { runCli } from "./run-cli.ts";

let home: string;
const cli = (...args: string[]) => runCli(args, { cwd: home });
const sizes = ["--layers", "1", "--model-width", "16", "--heads", "2", "--batch-size", "4", "--steps", "3"];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "tsformers-bleu-"));
  const table = Array.from({ length: 200 }, (_, i) => `Line ${i}.\tRad ${i} å.`).join("\n");
  writeFileSync(join(home, "pairs.tsv"), table);
  const data = ["--task", "translation", "--data", "pairs.tsv", "--tokens", "bpe", "--vocabulary", "300"];
  const trained = await Promise.all([
    cli("train", "swedish", "--model", "transformer", "--length", "12", ...data, ...sizes),
    cli("train", "text", "--length", "16", ...sizes),
  ]);
  for (const { code, log } of trained) expect(code, log).toBe(0);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

it("scores greedy translations and those of a search, as the library does", async () => {
  const { out, log } = await cli("eval", "swedish", "--sentences", "5", "--beams", "3", "--json");
  const figures = JSON.parse(out).bleu;
  expect(figures, log).toMatchObject({ sentences: 5, beams: 3 });
  const device = await openDevice("cpu");
  const opened = await openModel(join(home, "swedish"));
  const { config } = opened.run!;
  const { task } = await prepareEvaluation(opened, { config, otherData: false });
  for (const [beams, score] of [
    [1, figures.greedy],
    [3, figures.beamSearch],
  ]) {
    const found = await scoreTranslations({ ...opened, task }, device, { limit: 5, beams, batchSize: 2 });
    expect(found.references).toEqual(task.translations!.splits.test.slice(0, 5).map(([, reference]) => reference));
    expect(score).toBe(bleu(found.translations, found.references).score);
    expect(found.score).toBe(score);
  }
  await device.close();
  const table = await cli("eval", "swedish", "--sentences", "4");
  expect(table.out).toMatch(/BLEU of 4 translations \(sacreBLEU's tokens 13a\): greedy [\d.]+, with 4 beams [\d.]+/);
  expect((await cli("eval", "swedish", "--sentences", "0")).out).not.toContain("BLEU");
});

it("refuses flags of translations for other runs", async () => {
  for (const flag of ["sentences", "beams"]) {
    const { code, log } = await cli("eval", "text", `--${flag}`, "2");
    expect(code).toBe(2);
    expect(log).toContain(`--${flag}: is for runs that translate, which this one does not`);
  }
  expect((await cli("eval", "text", "--limit", "64")).out).not.toContain("BLEU");
});
