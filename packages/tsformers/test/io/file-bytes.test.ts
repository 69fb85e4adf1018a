import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openBytes } from "../../src/io/file-bytes.ts";
import { openText, readText } from "../../src/io/read-text.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "file-bytes-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const put = (name: string, bytes: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

function bytesOf(path: string, size: number): Buffer {
  const file = openBytes(path);
  const parts: Buffer[] = [];
  for (;;) {
    const target = Buffer.alloc(size);
    const count = file.read(target);
    if (count === 0) break;
    parts.push(target.subarray(0, count));
  }
  file.close();
  return Buffer.concat(parts);
}

/** Text that does not shrink much, so that the file has several pieces, and long runs that shrink to nothing. */
const noise = Buffer.from(Array.from({ length: 60_000 }, (_, n) => ((n * 2654435761) >>> 13) & 0xff));
const runs = Buffer.alloc(3_000_000, "x");

describe("the bytes of a file", () => {
  it.each([
    ["plain", (bytes: Buffer) => bytes],
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    [
      "two gzip files joined",
      (bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 70)), gzipSync(bytes.subarray(70))]),
    ],
  ])("are all there, in any portions: %s", (_, pack) => {
    for (const bytes of [noise, runs, Buffer.concat([runs, noise, runs]), Buffer.from("short"), Buffer.alloc(0)]) {
      const path = put("some", pack(bytes));
      for (const size of [1000, 4_000_000]) expect(bytesOf(path, size).equals(bytes)).toBe(true);
    }
  });

  it("are refused where a gzip file is cut off or altered anywhere", () => {
    const whole = gzipSync(Buffer.concat([noise, runs]));
    for (const length of [5, 12, 1000, whole.length - 9, whole.length - 8, whole.length - 4, whole.length - 1]) {
      expect(() => bytesOf(put("cut.gz", whole.subarray(0, length)), 4096), `${length}`).toThrow(
        /cut\.gz: a damaged gzip file/,
      );
    }
    for (const at of [5000, whole.length >> 1, whole.length - 8, whole.length - 1]) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 4;
      expect(() => bytesOf(put("altered.gz", bytes), 4096), `${at}`).toThrow(/altered\.gz: a damaged gzip file/);
    }
  });

  it("make the text that was compressed, cut in no character", () => {
    const text = "naïve 🙂 日本語\r\n".repeat(5000);
    const path = put("a.txt.gz", gzipSync(text));
    expect(readText(path)).toBe(text);
    expect(Array.from(openText(path, { pieceBytes: 9 }).pieces(), (piece) => piece.text).join("")).toBe(text);
    expect(readText(put("utf16.gz", gzipSync(Buffer.from(`\ufeff${text}`, "utf16le"))))).toBe(text);
    expect(() => readText(put("b.gz", gzipSync(noise)))).toThrow(/b\.gz: expected/);
  });
});
