import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { crc32c } from "../../src/io/crc32c.ts";
import { openTensorBoardLog } from "../../src/train/tensorboard.ts";

/** A protobuf message as [field, value]: varints as bigint, fixed fields and nested messages as bytes. */
function fieldsOf(bytes: Uint8Array): [number, bigint | Uint8Array][] {
  const fields: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (count: number): Uint8Array => bytes.slice(at, (at += count));
  while (at < bytes.length) {
    const key = Number(varint());
    const kind = key & 7;
    fields.push([key >> 3, kind === 0 ? varint() : take(kind === 1 ? 8 : kind === 5 ? 4 : Number(varint()))]);
  }
  return fields;
}

/** The TFRecords of a file, every length and checksum verified. */
function recordsOf(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unmask = (masked: number): number => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(unmask(view.getUint32(at + 8, true))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const data = bytes.subarray(at + 12, at + 12 + length);
    expect(data).toHaveLength(length);
    expect(unmask(view.getUint32(at + 12 + length, true))).toBe(crc32c(data));
    records.push(data);
    at += length + 16;
  }
  return records;
}

const textOf = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array);
const viewOf = (bytes: unknown): DataView => new DataView((bytes as Uint8Array).buffer);

describe("openTensorBoardLog", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tensorboard-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const options = { now: () => 1_700_000_000_250, host: "here" };

  it("writes the version, then scalars with time, step, tag and value", () => {
    const log = openTensorBoardLog(join(folder, "run"), options);
    log.scalar("train/loss", 2.5, 7);
    log.scalar("naïve", -1e-3, 2 ** 40 + 5);
    log.close();
    expect(basename(log.path)).toBe("events.out.tfevents.1700000000.here");
    const [version, ...events] = recordsOf(new Uint8Array(readFileSync(log.path))).map(
      (record) => new Map(fieldsOf(record)),
    );
    expect(textOf(version!.get(3))).toBe("brain.Event:2");
    const scalars = events.map((event) => {
      expect(viewOf(event.get(1)).getFloat64(0, true)).toBe(1_700_000_000.25);
      const value = new Map(fieldsOf(new Map(fieldsOf(event.get(5) as Uint8Array)).get(1) as Uint8Array));
      return [event.get(2), textOf(value.get(1)), viewOf(value.get(2)).getFloat32(0, true)];
    });
    expect(scalars).toEqual([
      [7n, "train/loss", 2.5],
      [2n ** 40n + 5n, "naïve", Math.fround(-1e-3)],
    ]);
  });

  it("tells readers of a resumed run to forget the steps that come again", () => {
    const log = openTensorBoardLog(folder, { ...options, resumeAt: 100 });
    log.close();
    const [, start] = recordsOf(new Uint8Array(readFileSync(log.path))).map((record) => new Map(fieldsOf(record)));
    expect(start!.get(2)).toBe(101n);
    expect(fieldsOf(start!.get(7) as Uint8Array)).toEqual([[1, 1n]]);
  });

  it("never writes into the file of another run of the same second", () => {
    const [first, second] = [openTensorBoardLog(folder, options), openTensorBoardLog(folder, options)];
    first.close();
    second.close();
    expect(second.path).not.toBe(first.path);
    expect(second.path).toContain("tfevents");
  });
});
