import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { writeFileAtomic } from "../../src/io/atomic-file.ts";

describe("writeFileAtomic", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "atomic-file-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("writes text and bytes, replaces, and leaves nothing else", async () => {
    const path = join(directory, "a.json");
    await writeFileAtomic(path, "a longer first version");
    await writeFileAtomic(path, Uint8Array.of(104, 105));
    expect(readFileSync(path, "utf8")).toBe("hi");
    expect(readdirSync(directory)).toEqual(["a.json"]);
  });

  it("removes its temporary file when the rename fails", async () => {
    await expect(writeFileAtomic(directory, "x")).rejects.toThrow();
    expect(
      readdirSync(join(directory, "..")).filter((name) => name.endsWith(".tmp") && name.includes("atomic-file-")),
    ).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("reports a folder in its place", async () => {
    await expect(writeFileAtomic(directory, "x")).rejects.toThrow(`${directory}: is a folder, expected a file`);
  });

  it("reports a folder that is missing", async () => {
    await expect(writeFileAtomic(join(directory, "no", "a.txt"), "x")).rejects.toThrow("its folder does not exist");
  });
});
