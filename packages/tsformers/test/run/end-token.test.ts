import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, it } from "vitest";
import type { Written } from "../../src/generate/generate.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { exportModelSafetensors } from "../../src/run/export-model.ts";
import { generatorOf, type WriteOptions } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { trainRun } from "../../src/run/train-run.ts";
import { scanTask } from "../../src/tasks/index.ts";
import type { PairBatch, Task } from "../../src/tasks/task.ts";
import { translationTask } from "../../src/tasks/translation/translation.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";

const device = await openCpu();
const home = mkdtempSync(join(tmpdir(), "tsformers-end-"));
afterAll(async () => {
  await device.close();
  rmSync(home, { recursive: true });
});

/** The targets of each row that are scored. */
function targetsOf({ targets, weights }: PairBatch): number[][] {
  const [rows, length] = targets.shape as readonly [number, number];
  const [tokens, scored] = [targets.toNumbers(), weights.toNumbers()];
  return Array.from({ length: rows }, (_, b) =>
    tokens.slice(b * length, (b + 1) * length).filter((_, t) => scored[b * length + t] === 1),
  );
}

describe("the end token of a task", () => {
  const sentences = [
    ["a cat", "en katt"],
    ["a dog", "en hund"],
  ] as const;
  const tasks: readonly Task[] = [
    scanTask(),
    translationTask({
      sentences: { train: sentences, valid: sentences, test: sentences },
      tokenizer: characterTokenizer,
    }),
  ];

  it.each(tasks.map((task) => [task.name, task] as const))("ends every target of %s, and nothing else", (_, task) => {
    const end = task.endToken!;
    for (const target of targetsOf(task.views.pairs!.trainBatch(1, 8)))
      expect(target.indexOf(end)).toBe(target.length - 1);
  });
});

describe("a run on SCAN", () => {
  const made = async (source: AsyncGenerator<number, Written>): Promise<{ tokens: number[]; ended: string }> => {
    const tokens: number[] = [];
    for (;;) {
      const next = await source.next();
      if (next.done) return { tokens, ended: next.value.ended };
      tokens.push(next.value);
    }
  };

  it.each([
    ["transformer", "pairs"],
    ["t5", "pairs"],
    ["gpt", "next"],
  ])("of %s stops at the end, unless it is told to go on, also when it is exported", async (kind, objective) => {
    const directory = join(home, kind);
    const model = { kind, layers: 1, modelWidth: 16, heads: 2 };
    await trainRun(parseRunConfig({ task: "scan", model, objective, steps: 2, batchSize: 2 }, "test"), {
      directory,
      device,
    });
    const opened = await openModel(directory);
    expect(opened.endTokens).toEqual([1]);
    await exportModelSafetensors(opened, join(directory, "out"));
    expect((await openModel(join(directory, "out"))).endTokens).toEqual([1]);

    const generator = generatorOf(opened, device);
    const write = (seed: number, more: Partial<WriteOptions> = {}) =>
      made(generator.tokens([3, 4], { count: 40, temperature: 5, seed, ...more }));
    // At this temperature tokens are about equally likely: in one of 21 draws it is the end.
    const all = [await write(0), await write(1), await write(2)];
    expect(all.map(({ ended }) => ended)).toContain("end token");
    for (const { tokens } of all) expect(tokens).not.toContain(1);
    const first = all.findIndex(({ ended }) => ended === "end token");
    const { tokens, ended } = await write(first, { endTokens: [] });
    expect([tokens.length, ended]).toEqual([40, "count"]);
    expect(tokens.slice(0, all[first]!.tokens.length + 1)).toEqual([...all[first]!.tokens, 1]);
    await generator.release();
  });
});
