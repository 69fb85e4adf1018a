import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { strToU8, zipSync } from "fflate";
import { describe, expect, it } from "vitest";
import { readDataTexts } from "../../src/io/data-texts.ts";
import { FileError } from "../../src/io/file-error.ts";
import { folderWith, tarOf } from "../tasks/data-fixtures.ts";

const files = { "b/two.txt": "zwei ä\n", "one.txt": "eins", "other.bin": "\0" };
const wanted = (name: string) => name.endsWith(".txt");
const expected = [
  ["b/two.txt", "zwei ä\n"],
  ["one.txt", "eins"],
];
const zip = zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)])));
const folder = folderWith({
  "data/b/two.txt": files["b/two.txt"],
  "data/one.txt.gz": gzipSync(files["one.txt"]),
  "data/other.bin": files["other.bin"],
  "data.zip": zip,
  "data.tar": tarOf(files),
  "data.tgz": gzipSync(tarOf(files)),
  "single.csv.gz": gzipSync("a,b"),
  "cut.gz": gzipSync("a text that is cut".repeat(9)).subarray(0, 30),
  "cut.zip": zip.subarray(0, zip.length - 30),
  "cut.tar": tarOf(files).subarray(0, 512),
  "latin.txt": Uint8Array.of(0x65, 0xe4),
});

const found = (name: string) => readDataTexts(join(folder, name), wanted).map(({ name, text }) => [name, text]);

it.each(["data", "data.zip", "data.tar", "data.tgz"])("finds the same texts in %s", (name) => {
  expect(found(name)).toEqual(expected);
});

it("reads a single file whatever its name", () => {
  expect(found("single.csv.gz")).toEqual([["single.csv", "a,b"]]);
});

describe("refuses", () => {
  it.each([
    ["missing", /missing: no such file or folder/],
    ["cut.gz", /cut.gz: the gzip file is damaged/],
    ["cut.zip", /cut.zip: the zip file is damaged/],
    ["cut.tar", /cut.tar: the tar archive is damaged: the entry at byte 0 goes on beyond its end/],
    ["latin.txt", /latin.txt: expected UTF-8 text, found 0xe4 at byte 1/],
  ])("%s", (name, message) => {
    expect(() => found(name)).toThrow(FileError);
    expect(() => found(name)).toThrow(message);
  });

  it("a tar header that was changed", () => {
    const bytes = tarOf(files);
    bytes[0] = 65;
    expect(() => readDataTexts(join(folderWith({ "x.tar": bytes }), "x.tar"), wanted)).toThrow(
      /does not match its checksum/,
    );
  });

  it("a zip that says it holds more than it can", () => {
    const bytes = Uint8Array.from(zip);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length - 4; at++)
      if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 2 ** 29, true);
    expect(() => readDataTexts(join(folderWith({ "x.zip": bytes }), "x.zip"), wanted)).toThrow(
      /x.zip: the zip file is damaged at/,
    );
  });
});
