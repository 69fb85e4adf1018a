import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { decodeText, openText, readText } from "../../src/io/read-text.ts";

let folder: string;
let notes: string[];
const note = (line: string): void => void notes.push(line);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "read-text-"));
  notes = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (name: string, data: string | Uint8Array): string => {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), data);
  return join(folder, name);
};
const utf16 = (text: string, order: "le" | "be"): Uint8Array => {
  const bytes = Buffer.from(`\ufeff${text}`, "utf16le");
  return order === "le" ? bytes : bytes.swap16();
};
const unmarked = (text: string, order: "le" | "be"): Uint8Array => utf16(text, order).subarray(2);

/** What is no text, and what is said of it. */
const refused: [string, Uint8Array, RegExp][] = [
  ["binary", Uint8Array.of(65, 66, 0, 67), /found a zero byte at 2; this looks like a binary file/],
  ["zeros", new Uint8Array(64), /found a zero byte at 0/],
  ["Latin-1", Buffer.from("un café noir", "latin1"), /found 0xe9 at byte 6, .* convert it to UTF-8 first.*ISO-8859-1/],
  ["cut off", Buffer.from("naïve €").subarray(0, -1), /found 0xe2 at byte 7/],
  ["a surrogate as UTF-8", Uint8Array.of(65, 0xed, 0xa0, 0x80, 65), /found 0xed at byte 1/],
  ["an overlong slash", Uint8Array.of(65, 65, 0xc0, 0xaf), /found 0xc0 at byte 2/],
  ["UTF-16LE without a mark", unmarked("plain words", "le"), /looks like UTF-16LE without a byte order mark; convert/],
  ["UTF-16BE without a mark", unmarked("plain words", "be"), /looks like UTF-16BE without a byte order mark; convert/],
  ["UTF-32LE", Uint8Array.of(0xff, 0xfe, 0, 0, 65, 0, 0, 0), /looks like UTF-32LE; convert it to UTF-8/],
  ["UTF-16 of odd length", Uint8Array.of(...utf16("ab", "le"), 65), /UTF-16 text, found half a unit at byte 6/],
  ["UTF-16 with half a pair", utf16("ab\ud83dcd", "be"), /found half a surrogate pair at byte 6/],
  ["UTF-16 with a zero", utf16("abc\0d", "le"), /found a zero at byte 8; this looks like a binary file/],
];

describe("decodeText", () => {
  const text = "naïve 😀 text\n";

  it.each<[string, Uint8Array]>([
    ["UTF-8", Buffer.from(text)],
    ["UTF-8 with a byte order mark", Buffer.from(`\ufeff${text}`)],
    ["UTF-16LE", utf16(text, "le")],
    ["UTF-16BE", utf16(text, "be")],
  ])("reads %s", (_, bytes) => {
    const before = Uint8Array.from(bytes);
    expect(decodeText(bytes, "prompt.txt")).toBe(text);
    expect(Uint8Array.from(bytes)).toEqual(before);
  });

  it("drops one byte order mark and reads what is short or empty", () => {
    expect(decodeText(Buffer.from("\ufeff\ufeffa"), "x")).toBe("\ufeffa");
    expect(decodeText(new Uint8Array(0), "x")).toBe("");
    expect(decodeText(Buffer.from("é"), "x")).toBe("é");
    expect(decodeText(Uint8Array.of(0xff, 0xfe), "x")).toBe("");
  });

  it.each(refused)("refuses %s and says where", (_, bytes, message) => {
    expect(() => decodeText(bytes, "prompt.txt")).toThrow(message);
    expect(() => decodeText(bytes, "prompt.txt")).toThrow(/^prompt\.txt: /);
  });
});

describe("readText", () => {
  it("reads a file of any extension", () => {
    expect(readText(put("story.log", "once\n"))).toBe("once\n");
  });

  it("reads folders in the order of paths, .txt and .md only, without hidden ones", () => {
    put("b.txt", "second");
    put("a/deep/x.MD", utf16("first", "le"));
    put("a/data.csv", "no");
    put(".git/c.txt", "no");
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
    ...refused,
  ])("refuses a file that is %s and names it", (name, data, message) => {
    const path = put(`${name}.txt`, data);
    expect(() => readText(path)).toThrow(message);
    expect(() => readText(path)).toThrow(path);
  });

  it("reports a missing path and a folder without text files", () => {
    expect(() => readText(join(folder, "nowhere"))).toThrow(/nowhere: no such file or folder/);
    expect(() => readText(join(put("a.csv", "x"), "b"))).toThrow(/a\.csv.b: no such file or folder/);
    expect(() => readText(folder)).toThrow(/no files ending in \.txt, \.md/);
  });

  it("refuses a folder with more text than a string holds, by its size alone", () => {
    const path = put("long.txt", "");
    execFileSync("truncate", ["-s", "600M", path]);
    expect(() => readText(folder)).toThrow(/has 629145600 bytes; a text that is read as a whole can have at most \d+/);
  });
});

describe.skipIf(process.platform === "win32")("what is no file", () => {
  it("is refused when it is the data itself, and never waited for", () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    expect(() => readText(pipe)).toThrow(
      /pipe: is a pipe, expected a file or a folder; write the text to a file first/,
    );
    expect(() => readText("/dev/zero")).toThrow(/\/dev\/zero: is a device/);
    symlinkSync("one", join(folder, "two"));
    symlinkSync("two", join(folder, "one"));
    expect(() => readText(join(folder, "one"))).toThrow(/one: is a circle of links/);
  });

  it("is named and passed over in a folder", () => {
    put("text.txt", "words");
    put("elsewhere/more.md", "more");
    execFileSync("mkfifo", [join(folder, "pipe.txt"), join(folder, "unread")]);
    symlinkSync("nowhere", join(folder, "broken.txt"));
    symlinkSync("self.txt", join(folder, "self.txt"));
    symlinkSync("/dev/zero", join(folder, "zero.md"));
    symlinkSync("..", join(folder, "elsewhere/up"));
    symlinkSync("../text.txt", join(folder, "elsewhere/link.txt"));
    expect(readText(folder, { note })).toBe("words\nmore\nwords");
    expect(notes.map((line) => line.slice(folder.length + 1))).toEqual([
      "broken.txt: passed over; a link to nothing",
      "elsewhere/up: passed over; links to folders are not followed",
      "pipe.txt: passed over; a pipe",
      "self.txt: passed over; a link to a circle of links",
      "zero.md: passed over; a link to a device",
    ]);
  });
});

describe("openText", () => {
  const text = "a😀é€\r\n".repeat(9);

  it.each([8, 9, 10, 11, 13, 64])("gives whole characters, whatever straddles pieces of %i bytes", (pieceBytes) => {
    put("1.txt", text);
    put("2.txt", `\ufeff${text}`);
    put("3.txt", utf16(text, "le"));
    put("4.txt", utf16(text, "be"));
    put("5.txt", "");
    const { pieces, sizeBytes } = openText(folder, { pieceBytes });
    for (let reading = 0; reading < 2; reading++) {
      let [read, bytes] = ["", ""];
      for (const piece of pieces()) {
        expect(piece.text).not.toMatch(/\p{Surrogate}/u);
        expect(piece.text.length).toBeLessThanOrEqual(pieceBytes);
        read += piece.text;
        bytes += Buffer.from(piece.utf8).toString("latin1");
      }
      expect(read).toBe([text, text, text, text, ""].join("\n"));
      expect(Buffer.from(bytes, "latin1").toString()).toBe(read);
    }
    expect(sizeBytes).toBe(2 * Buffer.byteLength(text) + 3 + 2 * (2 * text.length + 2));
  });

  it.each(refused)("says the same of %s by small pieces", (_, bytes, message) => {
    const path = put("x.txt", Buffer.concat([bytes]));
    expect(() => [...openText(path, { pieceBytes: 12 }).pieces()]).toThrow(message);
  });

  it("counts bytes from the beginning of the file", () => {
    const path = put("late.txt", Buffer.concat([Buffer.from("é".repeat(500)), Uint8Array.of(0xff)]));
    expect(() => [...openText(path, { pieceBytes: 16 }).pieces()]).toThrow(/found 0xff at byte 1000/);
  });
});
