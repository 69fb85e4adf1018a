import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { verifyDirectory } from "../../src/verify/verify.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));
const models = readdirSync(golden).filter((name) => existsSync(`${golden}${name}/model.safetensors`));

test("the fixtures are found", () => {
  expect(models.length).toBeGreaterThan(10);
});

test.each(models)("%s agrees with its golden fixture", async (name) => {
  const rows = await verifyDirectory(golden + name, { device: await openCpu() });
  expect(rows.filter(({ ok }) => !ok)).toEqual([]);
  expect(rows.length).toBeGreaterThan(3);
});
