import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Comparison } from "../../src/compare/results.ts";

/** A folder for one test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tsformers-store-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes what a comparison leaves in a folder of runs. */
export function writeComparison(folder: string, name: string, comparison: Comparison): void {
  mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, name, "results.json"), JSON.stringify(comparison));
}
