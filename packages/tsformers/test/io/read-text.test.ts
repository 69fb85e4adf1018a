import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { readText } from "../../src/io/read-text.ts";

describe("readText", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "read-text-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const put = (name: string, data: string | Uint8Array): string => {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), data);
    return join(folder, name);
  };

  it("reads a file of any extension", () => {
    expect(readText(put("story.log", "once\n"))).toBe("once\n");
  });

  it("reads folders in the order of paths, .txt and .md only, without hidden ones", () => {
    put("b.txt", "second");
    put("a/deep/x.MD", "first");
    put("a/data.csv", "no");
    put(".git/c.txt", "no");
    symlinkSync(folder, join(folder, "circle"));
    expect(readText(folder)).toBe("first\nsecond");
    expect(readText(folder, { extensions: [".csv"] })).toBe("no");
  });

  it('reads every text file with "*" and passes over binary ones', () => {
    put("a.csv", "one");
    put("b.bin", Uint8Array.of(1, 0, 2));
    put("c.bin", Uint8Array.of(0xff, 0xfe, 0x41));
    put("d", "two");
    expect(readText(folder, { extensions: ["*"] })).toBe("one\ntwo");
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ["empty", "", /expected text, got nothing but 0 blank characters/],
    ["blank", " \n\t", /expected text, got nothing but 3 blank/],
    ["binary", Uint8Array.of(65, 66, 0, 67), /zero byte at 2; this looks like a binary file/],
    ["Latin-1", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x20), /expected UTF-8 text/],
  ])("refuses a file that is %s and names it", (name, data, message) => {
    const path = put(`${name}.txt`, data);
    expect(() => readText(path)).toThrow(message);
    expect(() => readText(path)).toThrow(path);
  });

  it("reports a missing path and a folder without text files", () => {
    expect(() => readText(join(folder, "nowhere"))).toThrow(/nowhere: no such file or folder/);
    put("a.csv", "x");
    expect(() => readText(folder)).toThrow(/no files ending in \.txt, \.md/);
  });
});
