import { readFileSync, writeFileSync } from "node:fs";
import { test } from "vitest";
import { compatibilityTable } from "../../src/position/compatibility.ts";

test("x", () => {
  const p = new URL("../../../../docs/positions.md", import.meta.url);
  writeFileSync(
    p,
    readFileSync(p, "utf8").replace(/^(TABLE|\| mechanism[\s\S]*?)\n\n/m, `${compatibilityTable()}\n\n`),
  );
});
