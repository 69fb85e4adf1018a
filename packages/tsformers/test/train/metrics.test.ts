import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { openMetricsLog, readMetrics } from "../../src/train/metrics.ts";

describe("openMetricsLog", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "metrics-"));
    path = join(folder, "run", "metrics.jsonl");
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const writeSteps = async (steps: number[], resumeAt?: number): Promise<void> => {
    const log = await openMetricsLog(path, resumeAt === undefined ? {} : { resumeAt });
    for (const step of steps) log.write({ step, loss: 1 / step });
    log.close();
  };

  it("writes one object a line, at once", async () => {
    const log = await openMetricsLog(path);
    log.write({ step: 1, loss: 2.5, split: "valid" });
    expect(readFileSync(path, "utf8")).toBe('{"step":1,"loss":2.5,"split":"valid"}\n');
    log.close();
  });

  it("starts anew without resumeAt", async () => {
    await writeSteps([1, 2]);
    await writeSteps([1]);
    expect(readMetrics(path).map(({ step }) => step)).toEqual([1]);
  });

  it("resumed, reads like a run that was never interrupted", async () => {
    await writeSteps([1, 2, 3, 4]);
    const whole = readFileSync(path, "utf8");
    appendFileSync(path, '{"step":5,"lo');
    await writeSteps([3, 4], 2);
    expect(readFileSync(path, "utf8")).toBe(whole);
  });

  it("resumes where there is no file yet", async () => {
    await writeSteps([3], 2);
    expect(readMetrics(path)).toEqual([{ step: 3, loss: 1 / 3 }]);
  });

  it.each(["not json\n", "[1]\n", '{"loss":1}\n', "null\n"])(
    "refuses a foreign file (%j) and leaves it alone",
    async (text) => {
      await writeSteps([1]);
      writeFileSync(path, `{"step":1}\n${text}`);
      await expect(openMetricsLog(path, { resumeAt: 1 })).rejects.toThrow(/metrics\.jsonl:2: expected/);
      expect(readFileSync(path, "utf8")).toBe(`{"step":1}\n${text}`);
    },
  );
});
