import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

import { createTask } from "../../src/catalogue/tasks.ts";

const data = fileURLToPath(new URL("../../../../../shared/data/tinyshakespeare/input.txt", import.meta.url));
const here = existsSync(data);
if (!here) console.warn("shakespeare.test.ts skipped: ../shared/data/tinyshakespeare/input.txt is not here");

describe.skipIf(!here)("text task on tinyshakespeare", () => {
  it("has its 65 characters and the one for unknown ones, and scores the same tokens at 1×, 2×, 4× and 8× length", async () => {
    const task = await createTask("text", { data });
    expect(task.vocabularySize).toBe(66);
    const [row] = [...task.views.next!.evalBatches("test", { batchSize: 1, length: 128, limit: 128 })];
    expect(row!.targets.toNumbers().includes(0)).toBe(false);
    for (const length of [128, 256, 512, 1024]) {
      const batches = [...task.views.next!.evalBatches("valid", { batchSize: 4, length, limit: 8192 })];
      expect(batches).toHaveLength(8192 / length / 4);
      for (const { weights } of batches) expect(weights.toNumbers().every((weight) => weight === 1)).toBe(true);
    }
  });

  it("reads bytes as well", async () => {
    const task = await createTask("text", { data, tokens: "byte" });
    expect(task.vocabularySize).toBe(256);
    expect(task.tokenizer!.decode(task.views.next!.trainBatch(0, 1).inputs.toNumbers())).toMatch(/^[\n -z]{128}$/);
  });
});
