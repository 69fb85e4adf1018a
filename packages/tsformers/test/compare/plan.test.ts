import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FullConfig } from "../../src/compare/execution/messages.ts";
import { costOf, type PlannedCell, runsOf } from "../../src/compare/execution/plan.ts";
import { parseRunConfig } from "../../src/run/config.ts";

const cell = (variant: string, mixer: string): PlannedCell => {
  const config = parseRunConfig({ task: "recall", model: { kind: "gpt", mixer } }, "test") as unknown as FullConfig;
  return { task: "recall", variant, config: { ...config, seed: 0 }, data: "", lengths: [64], candidates: [] };
};
const folder = mkdtempSync(join(tmpdir(), "plan-"));
const directoryOf = (planned: PlannedCell) => runsOf([planned], { folder, seeds: 1 })[0]!.directory;

describe("folders of runs", () => {
  it("are those that there are of the same run, also when it has another label now", () => {
    const before = directoryOf(cell("gpt · softmax", "softmax"));
    expect(before).toMatch(/recall-gpt-softmax-seed0-[0-9a-f]{8}$/);
    mkdirSync(before);
    expect(directoryOf(cell("softmax", "softmax"))).toBe(before);
    expect(directoryOf(cell("linear", "linear"))).toMatch(/recall-linear-seed0-[0-9a-f]{8}$/);
  });

  it("hold costs of the same steps once", () => {
    const { directory } = costOf(cell("gpt · softmax", "softmax"), folder);
    mkdirSync(directory);
    expect(costOf(cell("softmax", "softmax"), folder).directory).toBe(directory);
    expect(costOf(cell("softmax", "linear"), folder).directory).not.toBe(directory);
  });
});
