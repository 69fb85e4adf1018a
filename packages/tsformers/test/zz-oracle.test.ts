import { readdirSync } from "node:fs";
import { openCpu } from "@tsformers/engine/node";
import { test } from "vitest";
import { verifyDirectory } from "../src/compare/verify.ts";
test("oracle", async () => {
  const device = await openCpu();
  const out = "/tmp/oracle/out/";
  for (const name of readdirSync(out)) {
    try {
      const rows = await verifyDirectory(out + name, { device });
      const bad = rows.filter((r) => !r.ok);
      console.log(name, rows.length, bad.length === 0 ? "OK" : `BAD ${bad.length}: ` + bad.slice(0, 6).map((r) => `${r.case}.${r.tensor} ${r.largestError}`).join(", "));
    } catch (e) { console.log(name, "ERROR", String((e as Error).message).slice(0, 500)); }
  }
}, 300000);
