import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeFolderAtomic } from "../../src/io/atomic-folder.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "atomic-folder-"));
});
afterEach(() => rmSync(home, { recursive: true }));

it("writes text and pieces of bytes, makes the folders above, replaces all, and leaves nothing else", async () => {
  const path = join(home, "deep", "er");
  await writeFolderAtomic(path, new Map([["old.txt", "old"]]));
  await writeFolderAtomic(path, new Map([["new.txt", [Uint8Array.of(104), Uint8Array.of(105)]]]));
  expect(readdirSync(path)).toEqual(["new.txt"]);
  expect(readFileSync(join(path, "new.txt"), "utf8")).toBe("hi");
  expect(readdirSync(join(home, "deep"))).toEqual(["er"]);
});

it("leaves what was there when a file cannot be written", async () => {
  const path = join(home, "out");
  await writeFolderAtomic(path, new Map([["a", "first"]]));
  await expect(
    writeFolderAtomic(
      path,
      new Map([
        ["a", "second"],
        ["no/such/folder", "x"],
      ]),
    ),
  ).rejects.toThrow(/ENOENT/);
  expect(readFileSync(join(path, "a"), "utf8")).toBe("first");
  expect(readdirSync(home)).toEqual(["out"]);
});

it("puts nothing where a file lies in the way", async () => {
  writeFileSync(join(home, "file"), "x");
  await expect(writeFolderAtomic(join(home, "file", "out"), new Map([["a", "b"]]))).rejects.toThrow();
  expect(existsSync(join(home, "file"))).toBe(true);
  expect(readdirSync(home)).toEqual(["file"]);
});
