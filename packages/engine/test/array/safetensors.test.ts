import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DType } from "../../src/array/dtype.ts";
import { fromNumbers, type NDArray, ndarray } from "../../src/array/nd-array.ts";
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from "../../src/array/safetensors.ts";

const dtypes: readonly DType[] = ["float32", "float16", "float64", "int32", "int64", "uint8", "bool"];

/** The bytes of a file with this header and data, right or wrong; `length` overrides what the file says of itself. */
function fileOf(header: unknown, data: readonly number[] = [], length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

function errorOf(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes, "m.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(SafetensorsError);
    return (error as SafetensorsError).message;
  }
  throw new Error("the file was read");
}

const arrays: fc.Arbitrary<NDArray> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }))
  .chain(([dtype, shape]) => {
    const size = shape.reduce((product, n) => product * n, 1);
    const values = fc.array(fc.integer({ min: 0, max: 1 }), { minLength: size, maxLength: size });
    return values.map((numbers) => fromNumbers(numbers, shape, dtype));
  });
const names = fc.string().filter((name) => name !== "__metadata__");
const tensorMaps = fc.array(fc.tuple(names, arrays), { maxLength: 6 }).map((entries) => new Map(entries));

describe("encodeSafetensors", () => {
  it("writes the layout of the format", () => {
    const bytes = encodeSafetensors({ b: ndarray([1, -2]), a: ndarray([1], [1], "uint8") }, { by: "test" });
    const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(headerBytes % 8).toBe(0);
    const text = new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes));
    expect(text.trimEnd()).toBe(
      '{"__metadata__":{"by":"test"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' +
        '"a":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}',
    );
    expect([...bytes.subarray(8 + headerBytes)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1]);
  });

  it("does not depend on the order of tensors and metadata", () => {
    const [x, y] = [ndarray([1]), ndarray([2])];
    expect(encodeSafetensors({ x, y }, { a: "1", b: "2" })).toEqual(encodeSafetensors({ y, x }, { b: "2", a: "1" }));
  });

  it("writes only the viewed part of a buffer", () => {
    const view = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
    expect(
      decodeSafetensors(encodeSafetensors({ view: ndarray(view) }))
        .tensors.get("view")
        ?.toNumbers(),
    ).toEqual([2, 3]);
  });

  it("refuses the reserved name", () => {
    expect(() => encodeSafetensors({ __metadata__: ndarray([1]) })).toThrow(SafetensorsError);
  });
});

describe("decodeSafetensors", () => {
  it("is the inverse of encodeSafetensors, wherever the bytes lie", () => {
    const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true });
    fc.assert(
      fc.property(tensorMaps, metadata, fc.integer({ min: 0, max: 8 }), (tensors, metadata, offset) => {
        const encoded = encodeSafetensors(tensors, metadata);
        const bytes = new Uint8Array(encoded.length + offset).subarray(offset);
        bytes.set(encoded);
        const read = decodeSafetensors(bytes);
        expect(read.metadata).toEqual(metadata);
        expect(read.widened.size).toBe(0);
        expect(read.tensors.size).toBe(tensors.size);
        for (const [name, array] of tensors) expect(read.tensors.get(name)).toStrictEqual(array);
      }),
    );
  });

  it("views aligned bytes and copies others", () => {
    const bytes = encodeSafetensors({ x: ndarray([1, 2]) });
    expect(decodeSafetensors(bytes).tensors.get("x")?.data.buffer).toBe(bytes.buffer);
    const moved = new Uint8Array(bytes.length + 1).subarray(1);
    moved.set(bytes);
    const copy = decodeSafetensors(moved).tensors.get("x");
    expect(copy?.data.buffer).not.toBe(moved.buffer);
    expect(copy?.toNumbers()).toEqual([1, 2]);
  });

  it.each([
    ["BF16", [0x80, 0x3f, 0x20, 0xc0, 0x80, 0x7f], "float32", [1, -2.5, Number.POSITIVE_INFINITY]],
    ["I8", [0xff, 0x80, 3], "int32", [-1, -128, 3]],
    ["I16", [0xff, 0xff, 0, 0x80, 3, 0], "int32", [-1, -32768, 3]],
    ["U16", [0xff, 0xff, 0, 0x80, 3, 0], "int32", [65535, 32768, 3]],
  ])("widens %s and says so", (type, data, dtype, expected) => {
    const header = { x: { dtype: type, shape: [3], data_offsets: [0, data.length] } };
    const { tensors, widened } = decodeSafetensors(fileOf(header, data));
    expect(tensors.get("x")?.dtype).toBe(dtype);
    expect(tensors.get("x")?.toNumbers()).toEqual(expected);
    expect([...widened]).toEqual([["x", type]]);
  });

  it("reads a file without tensors, scalars, empty tensors and a padded header", () => {
    expect(decodeSafetensors(fileOf("{}   ")).tensors.size).toBe(0);
    const { tensors } = decodeSafetensors(
      fileOf(
        {
          scalar: { dtype: "U8", shape: [], data_offsets: [0, 1] },
          none: { dtype: "F32", shape: [3, 0], data_offsets: [1, 1] },
        },
        [7],
      ),
    );
    expect(tensors.get("scalar")?.item()).toBe(7);
    expect(tensors.get("none")?.shape).toEqual([3, 0]);
  });

  const f32 = (shape: unknown, begin: unknown, end: unknown) => ({ dtype: "F32", shape, data_offsets: [begin, end] });
  const eight = [0, 0, 0, 0, 0, 0, 0, 0];
  it.each<[string, Uint8Array, string]>([
    ["an empty file", new Uint8Array(0), "header: expected 8 bytes with its length, found a file of 0 bytes"],
    ["a header beyond the file", fileOf("{}", [], 3n), "header: expected a length of at most 2 bytes, found 3"],
    ["an absurd header length", fileOf("{}", [], 2n ** 64n - 1n), "found 18446744073709551615"],
    ["no JSON", fileOf("{]"), "header: expected JSON in UTF-8, found "],
    ["an empty header", fileOf(""), "header: expected JSON in UTF-8, found "],
    ["JSON that is no object", fileOf("[1]"), "header: expected a JSON object, found [1]"],
    ["a number as tensor", fileOf('{"x":3}'), 'tensor "x": expected a JSON object, found 3'],
    ["a list as tensor", fileOf('{"x":[]}'), 'tensor "x": expected a JSON object, found []'],
    ["metadata that is no string", fileOf('{"__metadata__":{"a":1}}'), 'metadata "a": expected a string, found 1'],
    ["deep nesting", fileOf(`{"x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`), 'tensor "x": expected a JSON object'],
    ["a dtype unknown to us", fileOf({ x: { ...f32([1], 0, 4), dtype: "F8_E4M3" } }, eight), 'found "F8_E4M3"'],
    ["no dtype", fileOf({ x: { shape: [1], data_offsets: [0, 4] } }, eight), "BOOL, found nothing"],
    ["a dtype like a method", fileOf({ x: { ...f32([1], 0, 4), dtype: "toString" } }, eight), 'found "toString"'],
    ["an unknown field", fileOf({ x: { ...f32([1], 0, 4), stride: 1 } }, eight), 'found "stride"'],
    ["a negative extent", fileOf({ x: f32([-1], 0, 4) }, eight), "non-negative integers, found [-1]"],
    ["a fractional extent", fileOf({ x: f32([0.5], 0, 2) }, eight), "non-negative integers, found [0.5]"],
    ["an extent beyond 2^53", fileOf('{"x":{"dtype":"F32","shape":[1e16],"data_offsets":[0,4]}}', eight), "[10000"],
    ["a shape that is no list", fileOf({ x: f32(4, 0, 16) }, eight), "non-negative integers, found 4"],
    ["a huge shape", fileOf({ x: f32([2 ** 40, 2 ** 40], 0, 8) }, eight), "a size below 2^53 bytes"],
    ["a big shape", fileOf({ x: f32([2 ** 40], 0, 8) }, eight), "expected 4398046511104 bytes for F32"],
    ["a big shape with matching offsets", fileOf({ x: f32([2 ** 40], 0, 2 ** 42) }, eight), "the file's 8 bytes"],
    ["offsets reversed", fileOf({ x: f32([1], 8, 4) }, eight), "expected 4 bytes for F32 [1], found -4 at [8, 4]"],
    ["three offsets", fileOf({ x: { ...f32([1], 0, 4), data_offsets: [0, 4, 8] } }, eight), "found [0,4,8]"],
    ["a hole at the start", fileOf({ x: f32([1], 4, 8) }, eight), "without holes or overlap, from 0 on, found data_"],
    ["a hole between", fileOf({ x: f32([1], 0, 4), y: f32([0], 8, 8) }, eight), 'tensor "y": expected data without'],
    ["overlap", fileOf({ x: f32([1], 0, 4), y: f32([1], 0, 4) }, eight), 'tensor "y": expected data without holes'],
    ["bytes left over", fileOf({ x: f32([1], 0, 4) }, eight), "data: expected 4 bytes that belong to tensors, found 8"],
    ["a torn file", fileOf({ x: f32([2], 0, 8) }, [0, 0, 0]), "within the file's 3 bytes, found data_offsets [0, 8]"],
    ["no booleans", fileOf({ x: { dtype: "BOOL", shape: [3], data_offsets: [0, 3] } }, [0, 1, 2]), "found 2 at 2"],
    [
      "a name twice",
      fileOf(`{"x":${JSON.stringify(f32([1], 0, 4))},"x":${JSON.stringify(f32([1], 0, 4))}}`, [0, 0, 0, 0]),
      "header: expected 4 distinct keys, found 8 keys, some of them twice",
    ],
    ["text that is not UTF-8", fileOf({ x: f32([1], 0, 4) }, eight).fill(0xff, 10, 11), "expected JSON in UTF-8"],
  ])("refuses %s", (_, bytes, message) => {
    const found = errorOf(bytes);
    expect(found).toMatch(/^m\.safetensors: /);
    expect(found).toContain(message);
    expect(found.length).toBeLessThan(400);
  });

  it("is not misled by colons, quotes and braces in names", () => {
    const tensors = { 'a":{:"': ndarray([1]), "\\": ndarray([2]), '\\":': ndarray([3]) };
    expect(decodeSafetensors(encodeSafetensors(tensors)).tensors.size).toBe(3);
  });

  it("reads damaged files or says clearly why not, and never makes more of them than they hold", () => {
    const whole = encodeSafetensors(
      {
        weight: ndarray([
          [1, 2],
          [3, 4],
        ]),
        half: fromNumbers([1, 2, 3], [3], "float16"),
        steps: fromNumbers([5], [], "int64"),
        mask: fromNumbers([1, 0], [2], "bool"),
      },
      { format: "pt" },
    );
    const at = fc.nat(whole.length - 1);
    const damage = fc.oneof(
      fc.record({ kind: fc.constant("set" as const), at, bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }) }),
      fc.record({
        kind: fc.constant("set" as const),
        at,
        bytes: fc.constantFrom(
          ...["9", "99", "0", "-", "e9", '"', ",", "[", "}"].map((text) => new TextEncoder().encode(text)),
        ),
      }),
      fc.record({
        kind: fc.constant("insert" as const),
        at,
        bytes: fc.constantFrom(...["9", "000", "-", ".", "[", '"', "\\"].map((text) => new TextEncoder().encode(text))),
      }),
      fc.record({ kind: fc.constant("cut" as const), at, bytes: fc.constant(new Uint8Array(0)) }),
    );
    let refused = 0;
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), fc.boolean(), (damages, fixLength) => {
        let bytes = whole;
        for (const { kind, at, bytes: inserted } of damages) {
          const end = kind === "set" ? at + inserted.length : at;
          bytes = Uint8Array.from([
            ...bytes.subarray(0, at),
            ...inserted,
            ...(kind === "cut" ? [] : bytes.subarray(end)),
          ]);
        }
        // Without this, most damage that changes the length would be found out before the header is looked at.
        const brace = bytes.lastIndexOf("}".charCodeAt(0));
        if (fixLength && brace > 8) new DataView(bytes.buffer).setBigUint64(0, BigInt(brace + 1 - 8), true);
        try {
          const { tensors } = decodeSafetensors(bytes, "damaged");
          const held = [...tensors.values()].reduce((sum, array) => sum + array.data.byteLength, 0);
          expect(held).toBeLessThanOrEqual(4 * bytes.length);
        } catch (error) {
          if (!(error instanceof SafetensorsError)) throw error;
          expect(error.message).toMatch(/^damaged: .+: expected .+, found .+/s);
          refused++;
        }
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  it("refuses arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(() => decodeSafetensors(bytes)).toThrow(SafetensorsError);
      }),
    );
  });
});

const golden = fileURLToPath(new URL("../../../../../shared/golden/", import.meta.url));
const present = existsSync(golden);
if (!present) console.warn("skipped: files written by the Python library, ../shared/golden is absent");

describe.skipIf(!present)("files written by the Python library", () => {
  it("are read, and read again after encoding", () => {
    const paths = readdirSync(golden, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".safetensors"),
    );
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) {
      const { tensors, metadata } = decodeSafetensors(readFileSync(join(golden, path)), path);
      expect(tensors.size).toBeGreaterThan(0);
      const again = decodeSafetensors(encodeSafetensors(tensors, metadata), `${path}, encoded again`);
      expect(again.metadata).toEqual(metadata);
      expect(new Set(again.tensors.keys())).toEqual(new Set(tensors.keys()));
      for (const [name, { shape, dtype, data }] of tensors) {
        const copy = again.tensors.get(name)!;
        expect([copy.shape, copy.dtype]).toEqual([shape, dtype]);
        expect(Buffer.compare(bytesOf(copy.data), bytesOf(data))).toBe(0);
      }
    }
  });
});

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
