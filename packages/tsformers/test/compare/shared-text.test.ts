import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openSharedText, shareText } from "../../src/compare/execution/shared-text.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { tokenTask } from "../../src/tasks/text/text.ts";
import { readTextData } from "../../src/tasks/text/text-data.ts";

const device = await openCpu();
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-shared-"));
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

it("gives the task of the text itself, and the text is not read again", async () => {
  const data = join(home, "texts");
  mkdirSync(data);
  writeFileSync(join(data, "a.txt"), "Größe, quick brown foxes.\n".repeat(99));
  writeFileSync(join(data, "b.txt"), "lazy dogs\n".repeat(50));
  const read = await readTextData({ data, tokens: "character", extensions: [".txt"] });
  await shareText(home, "text-1", read);
  const opened = await openSharedText(home, "text-1");
  const [before, after] = [read, opened].map((text) => tokenTask({ ...text, length: 8 }));
  expect(after!.fingerprint).toBe(before!.fingerprint);
  expect(after!.metrics[1]!.value).toBeDefined();
  const totals = { lossSum: 3, tokens: 2, correct: 0, rows: 0, exactRows: 0 };
  expect(after!.metrics.map((metric) => metric.value(totals))).toEqual(
    before!.metrics.map((metric) => metric.value(totals)),
  );
  const numbers = (task: typeof before) => task!.views.next.trainBatch(3, 4).inputs.toNumbers();
  expect(numbers(after)).toEqual(numbers(before));

  expect(opened.tokenized.documents).toEqual(read.tokenized.documents);
  expect(read.tokenized.documents!.train).toHaveLength(2);

  rmSync(data, { recursive: true });
  const settings = {
    task: { kind: "text", data },
    model: { kind: "gpt", layers: 1, modelWidth: 8, heads: 1 },
    length: 8,
    batchSize: 2,
    steps: 1,
  };
  const { run } = await trainRun(settings, { directory: join(home, "run"), device, text: opened });
  expect(run.task.fingerprint).toBe(before!.fingerprint);
});

it("says which file is damaged", async () => {
  writeFileSync(join(home, "text-1.tokens"), "nothing");
  await expect(openSharedText(home, "text-1")).rejects.toThrow(/text-1\.tokens: is missing or damaged/);
});
