import { expect, it } from "vitest";
import { openLiveTable } from "../../src/cli/live-table.ts";

it.each([
  [1, "1 piece of work, one at a time, in runs"],
  [3, "3 pieces of work, one at a time, in runs"],
])("counts %i", (items, text) => {
  const written: string[] = [];
  const stream = { isTTY: false, write: (line: string) => written.push(line) > 0 };
  openLiveTable({ stream }).show({ kind: "planned", items, jobs: 1, folder: "runs" });
  expect(written.join("")).toBe(`${text}\n`);
});
