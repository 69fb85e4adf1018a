import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSafetensors, fromNumbers, SafetensorsError } from "@tsformers/engine";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openSafetensorsFile, readSafetensorsFile } from "../../src/io/safetensors-file.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "safetensors-"));
  path = join(directory, "a.safetensors");
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A file with a header and no bytes on the disk behind it, but those at the end. */
function sparse(header: object, sizeBytes: number, end: Uint8Array): void {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(8 + json.length);
  new DataView(start.buffer).setUint32(0, json.length, true);
  start.set(json, 8);
  const file = openSync(path, "w");
  writeSync(file, start);
  ftruncateSync(file, start.length + sizeBytes);
  writeSync(file, end, 0, end.length, start.length + sizeBytes - end.length);
  closeSync(file);
}

it("reads a tensor that lies beyond 2 GiB, and nothing else", async () => {
  const large = 3 * 2 ** 30;
  const before = process.memoryUsage().arrayBuffers;
  sparse(
    {
      large: { dtype: "F32", shape: [large / 4], data_offsets: [0, large] },
      small: { dtype: "BF16", shape: [2], data_offsets: [large, large + 4] },
    },
    large + 4,
    Uint8Array.of(0x80, 0x3f, 0x00, 0xc0),
  );
  const file = await openSafetensorsFile(path);
  expect(file.tensors.get("large")).toMatchObject({ dtype: "float32", shape: [large / 4] });
  expect((await file.tensors.get("small")!.read()).toNumbers()).toEqual([1, -2]);
  await file.close();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});

it("refuses tensors that overlap, whatever size the header claims", async () => {
  sparse(
    {
      a: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
      b: { dtype: "F32", shape: [2], data_offsets: [4, 12] },
    },
    12,
    new Uint8Array(0),
  );
  await expect(openSafetensorsFile(path)).rejects.toThrow(/tensor "b": expected data without holes or overlap/);
  sparse({ a: { dtype: "F32", shape: [2 ** 40], data_offsets: [0, 2 ** 42] } }, 12, new Uint8Array(0));
  await expect(openSafetensorsFile(path)).rejects.toThrow(/tensor "a": expected data within the file's 12 bytes/);
});

it("says what a file is that is none", async () => {
  await expect(openSafetensorsFile(path)).rejects.toThrow("a.safetensors: no such file");
  await expect(openSafetensorsFile(directory)).rejects.toThrow(/expected a file of weights|is a folder/);
  writeFileSync(path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n");
  await expect(openSafetensorsFile(path)).rejects.toThrow("is a pointer of Git LFS");
  writeFileSync(path, "");
  await expect(openSafetensorsFile(path)).rejects.toThrow(SafetensorsError);
});

it("notices a file that is cut while it is read", async () => {
  writeFileSync(path, encodeSafetensors({ a: fromNumbers([1, 2, 3], [3]) }));
  expect([...(await readSafetensorsFile(path)).get("a")!.toNumbers()]).toEqual([1, 2, 3]);
  const file = await openSafetensorsFile(path);
  const handle = openSync(path, "r+");
  ftruncateSync(handle, statSync(path).size - 4);
  closeSync(handle);
  await expect(file.tensors.get("a")!.read()).rejects.toThrow(/a\.safetensors: ended at byte \d+ while it was read/);
  await file.close();
});
