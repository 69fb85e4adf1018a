import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeFolder, removeEmptyFolders } from "../../src/io/make-folder.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-made-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

describe("a folder", () => {
  it("is made with those above it, which are named, and not made again", () => {
    const [a, b] = [join(home, "a"), join(home, "a", "b")];
    expect(makeFolder(b)).toEqual([a, b]);
    expect(makeFolder(b)).toEqual([]);
  });

  it("is removed as far as nothing is in it", () => {
    const made = makeFolder(join(home, "a", "b", "c"));
    writeFileSync(join(home, "a", "kept"), "");
    removeEmptyFolders(made);
    expect([existsSync(join(home, "a")), existsSync(join(home, "a", "b"))]).toEqual([true, false]);
  });

  it("is not made where a file is, or below one", () => {
    const file = join(home, "file");
    writeFileSync(file, "");
    for (const path of [file, join(file, "a"), join(file, "a", "b")])
      expect(() => makeFolder(path)).toThrow(`${file}: expected a folder, this is a file`);
  });

  it.runIf(process.platform === "linux")("that the system refuses is an error, not a loop", () => {
    expect(() => makeFolder("/proc/none/run")).toThrow("/proc/none: the system refuses to make this folder");
  });
});
