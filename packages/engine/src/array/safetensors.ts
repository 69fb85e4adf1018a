import { allocate, type DType, sizeOf, type TypedArray } from "./dtype.ts";
import { NDArray } from "./nd-array.ts";
import { type Shape, shapeText, sizeOfShape } from "./shape.ts";

/** Invalid safetensors bytes. The message names the file, the tensor, what was expected and what was found. */
export class SafetensorsError extends Error {
  override readonly name = "SafetensorsError";
}

/**
 * The contents of a file. `widened` names each tensor whose stored type the engine lacks, with that type: its elements were
 * converted without loss (BF16 to float32; I8, I16 and U16 to int32).
 */
export type SafetensorsFile = {
  readonly tensors: Map<string, NDArray>;
  readonly metadata: Record<string, string>;
  readonly widened: Map<string, string>;
};

/** The largest header that the reference implementation reads. */
const largestHeaderBytes = 100_000_000;

const metadataName = "__metadata__";

/** Stored types: bytes per element, and the engine's dtype if it has the same one. */
const storedTypes: ReadonlyMap<string, { readonly bytes: number; readonly dtype?: DType }> = new Map([
  ["F64", { bytes: 8, dtype: "float64" }],
  ["F32", { bytes: 4, dtype: "float32" }],
  ["F16", { bytes: 2, dtype: "float16" }],
  ["BF16", { bytes: 2 }],
  ["I64", { bytes: 8, dtype: "int64" }],
  ["I32", { bytes: 4, dtype: "int32" }],
  ["I16", { bytes: 2 }],
  ["U16", { bytes: 2 }],
  ["I8", { bytes: 1 }],
  ["U8", { bytes: 1, dtype: "uint8" }],
  ["BOOL", { bytes: 1, dtype: "bool" }],
]);

const nameOfDType: Record<DType, string> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  int64: "I64",
  int32: "I32",
  uint8: "U8",
  bool: "BOOL",
};

/**
 * Encodes arrays as a safetensors file: widest elements first, so that every tensor is aligned, then by name.
 * The same tensors and metadata give the same bytes.
 *
 * @throws SafetensorsError when a tensor is named `__metadata__`, or the header would be too long to read back
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, NDArray> | Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const pieces = safetensorsPieces(tensors, metadata);
  const bytes = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** {@link encodeSafetensors} in consecutive pieces: the header, then each tensor's own memory. */
export function safetensorsPieces(
  tensors: ReadonlyMap<string, NDArray> | Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const entries: [string, NDArray][] =
    tensors instanceof Map ? [...tensors] : Object.entries(tensors as Record<string, NDArray>);
  entries.sort(([a, x], [b, y]) => sizeOf(y.dtype) - sizeOf(x.dtype) || (a < b ? -1 : 1));
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) {
    const sorted = Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)));
    fields.push(`${JSON.stringify(metadataName)}:${JSON.stringify(sorted)}`);
  }
  let end = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    if (name === metadataName)
      throw new SafetensorsError(`encodeSafetensors: no tensor can be named "${metadataName}"`);
    const begin = end;
    end += data.byteLength;
    const entry = { dtype: nameOfDType[dtype], shape, data_offsets: [begin, end] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  }
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (headerBytes > largestHeaderBytes) {
    throw new SafetensorsError(
      `encodeSafetensors: expected a header of at most ${largestHeaderBytes} bytes, found ${headerBytes}`,
    );
  }
  const start = new Uint8Array(8 + headerBytes).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(headerBytes), true);
  start.set(json, 8);
  return [start, ...entries.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}

/** A file whose bytes are read on demand; see {@link openSafetensors}. */
export type ByteSource = {
  readonly sizeBytes: number;
  /** Fills `into` with the bytes from `begin` on. @throws Error when the file ends before that */
  read(begin: number, into: Uint8Array): Promise<void>;
};

/** A tensor of a file that has not been read; `dtype` is that of the array that `read` returns. */
export type StoredTensor = { readonly shape: Shape; readonly dtype: DType; read(): Promise<NDArray> };

/** The contents of a file's header; see {@link SafetensorsFile}. */
export type SafetensorsIndex = {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Record<string, string>;
  readonly widened: Map<string, string>;
};

/**
 * Decodes the arrays of a safetensors file, in the order of their data. Every length is checked against the bytes
 * before anything is allocated. Tensors are views of `bytes` where alignment permits, otherwise copies.
 *
 * @param source name of the bytes in errors, such as the file's path
 * @throws SafetensorsError when the bytes are not a complete and valid file, or a tensor's type is not supported
 * @source safetensors, "Format": length of the header (8 bytes, little-endian), header (JSON), data without holes
 */
export function decodeSafetensors(bytes: Uint8Array, source = "safetensors"): SafetensorsFile {
  const begin = 8 + headerLength(bytes.subarray(0, 8), bytes.length, source);
  const { entries, metadata, widened } = readHeader(bytes.subarray(8, begin), bytes.length - begin, source);
  const data = bytes.subarray(begin);
  const tensors = new Map(
    entries.map((entry) => [entry.name, readTensor(entry, data.subarray(entry.begin, entry.end), source)]),
  );
  return { tensors, metadata, widened };
}

/**
 * Reads the header of a safetensors file; each tensor is read on demand, so that a file of any size needs only the memory
 * of its largest tensor. Every length is checked against the file's before anything is allocated.
 *
 * @param source name of the file in errors, such as its path
 * @throws SafetensorsError as {@link decodeSafetensors}
 */
export async function openSafetensors(file: ByteSource, source = "safetensors"): Promise<SafetensorsIndex> {
  const take = async (begin: number, count: number) => {
    const bytes = new Uint8Array(count);
    await file.read(begin, bytes);
    return bytes;
  };
  const length = headerLength(await take(0, Math.min(8, file.sizeBytes)), file.sizeBytes, source);
  const begin = 8 + length;
  const { entries, ...about } = readHeader(await take(8, length), file.sizeBytes - begin, source);
  const tensors = entries.map((entry): [string, StoredTensor] => {
    const read = async () => readTensor(entry, await take(begin + entry.begin, entry.end - entry.begin), source);
    return [entry.name, { shape: entry.shape, dtype: dtypeOf(entry.type), read }];
  });
  return { tensors: new Map(tensors), ...about };
}

type Failure = (expected: string, found: string) => SafetensorsError;
type Entry = { name: string; type: string; shape: number[]; begin: number; end: number };

function failure(source: string, part: string): Failure {
  return (expected, found) => new SafetensorsError(`${source}: ${part}: expected ${expected}, found ${found}`);
}

/** @param bytes the first 8 of a file of `fileBytes` */
function headerLength(bytes: Uint8Array, fileBytes: number, source: string): number {
  const fail = failure(source, "header");
  if (bytes.length < 8) throw fail("8 bytes with its length", `a file of ${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  const room = Math.min(fileBytes - 8, largestHeaderBytes);
  if (length > BigInt(room)) throw fail(`a length of at most ${room} bytes`, `${length}`);
  return Number(length);
}

/** The header's tensors in the order of their data, checked to fill `dataBytes` without holes. */
function readHeader(
  bytes: Uint8Array,
  dataBytes: number,
  source: string,
): { entries: Entry[]; metadata: Record<string, string>; widened: Map<string, string> } {
  const header = parseHeader(bytes, source);
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  let fields = 0;
  for (const [name, value] of Object.entries(header.json)) {
    const fail = failure(source, `tensor ${quoted(name)}`);
    if (!isRecord(value)) throw fail("a JSON object", quoted(value));
    fields += 1 + Object.keys(value).length;
    if (name === metadataName) metadata = checkMetadata(value, source);
    else entries.push(checkEntry(name, value, fail));
  }
  // JSON.parse silently keeps the last of two equal keys; outside strings, each colon belongs to exactly one key.
  const colons = colonsOutsideStrings(header.text);
  if (colons !== fields)
    throw failure(source, "header")(`${fields} distinct keys`, `${colons} keys, some of them twice`);
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkContiguous(entries, dataBytes, source);
  const foreign = entries.filter(({ type }) => storedTypes.get(type)?.dtype === undefined);
  return { entries, metadata, widened: new Map(foreign.map(({ name, type }) => [name, type])) };
}

function parseHeader(bytes: Uint8Array, source: string): { json: Record<string, unknown>; text: string } {
  const fail = failure(source, "header");
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const json: unknown = JSON.parse(text);
    if (!isRecord(json)) throw fail("a JSON object", quoted(json));
    return { json, text };
  } catch (error) {
    if (error instanceof SafetensorsError) throw error;
    throw fail("JSON in UTF-8", error instanceof Error ? shortened(error.message) : "something else");
  }
}

/** The dtype that elements of a stored type are converted to. */
function dtypeOf(type: string): DType {
  return storedTypes.get(type)?.dtype ?? (type === "BF16" ? "float32" : "int32");
}

function checkMetadata(value: Record<string, unknown>, source: string): Record<string, string> {
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw failure(source, `metadata ${quoted(key)}`)("a string", quoted(text));
  }
  return value as Record<string, string>;
}

function checkEntry(name: string, value: Record<string, unknown>, fail: Failure): Entry {
  const unknown = Object.keys(value).find((key) => key !== "dtype" && key !== "shape" && key !== "data_offsets");
  if (unknown !== undefined) throw fail("only dtype, shape and data_offsets", quoted(unknown));
  const { dtype, shape, data_offsets: offsets } = value;
  const stored = typeof dtype === "string" ? storedTypes.get(dtype) : undefined;
  if (stored === undefined) throw fail(`a dtype of ${[...storedTypes.keys()].join(", ")}`, quoted(dtype));
  if (!isSizes(shape)) throw fail("a shape of non-negative integers", quoted(shape));
  if (!isSizes(offsets) || offsets.length !== 2) throw fail("data_offsets [begin, end]", quoted(offsets));
  const [begin, end] = offsets as [number, number];
  const bytes = sizeOfShape(shape) * stored.bytes;
  if (!Number.isSafeInteger(bytes)) throw fail("a size below 2^53 bytes", `shape ${shortened(shapeText(shape))}`);
  if (end - begin !== bytes) {
    const expected = `${bytes} bytes for ${dtype} ${shortened(shapeText(shape))}`;
    throw fail(expected, `${end - begin} at [${begin}, ${end}]`);
  }
  return { name, type: dtype as string, shape: shape.map(Math.abs), begin, end };
}

function checkContiguous(entries: readonly Entry[], dataBytes: number, source: string): void {
  let expected = 0;
  for (const { name, begin, end } of entries) {
    const fail = failure(source, `tensor ${quoted(name)}`);
    if (begin !== expected) {
      throw fail(`data without holes or overlap, from ${expected} on`, `data_offsets [${begin}, ${end}]`);
    }
    if (end > dataBytes) throw fail(`data within the file's ${dataBytes} bytes`, `data_offsets [${begin}, ${end}]`);
    expected = end;
  }
  if (expected !== dataBytes) throw failure(source, "data")(`${expected} bytes that belong to tensors`, `${dataBytes}`);
}

function readTensor({ name, type, shape }: Entry, bytes: Uint8Array, source: string): NDArray {
  const dtype = storedTypes.get(type)?.dtype;
  if (dtype === undefined) return widen(type, shape, bytes);
  if (dtype === "bool") {
    const wrong = bytes.findIndex((byte) => byte > 1);
    if (wrong >= 0) {
      throw failure(source, `tensor ${quoted(name)}`)("BOOL elements of 0 or 1", `${bytes[wrong]} at ${wrong}`);
    }
  }
  return new NDArray(shape, dtype, viewOrCopy(dtype, bytes));
}

function viewOrCopy(dtype: DType, bytes: Uint8Array): TypedArray {
  const empty = allocate(dtype, 0);
  if (bytes.byteOffset % sizeOf(dtype) === 0) {
    const View = empty.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray;
    return new View(bytes.buffer, bytes.byteOffset, bytes.length / sizeOf(dtype));
  }
  const copy = allocate(dtype, bytes.length / sizeOf(dtype));
  new Uint8Array(copy.buffer).set(bytes);
  return copy;
}

function widen(type: string, shape: number[], bytes: Uint8Array): NDArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (type === "BF16") {
    const words = new Uint32Array(bytes.length / 2);
    for (let i = 0; i < words.length; i++) words[i] = view.getUint16(2 * i, true) << 16;
    return new NDArray(shape, "float32", new Float32Array(words.buffer));
  }
  if (type === "I8") return new NDArray(shape, "int32", Int32Array.from(new Int8Array(bytes)));
  const read = type === "I16" ? view.getInt16.bind(view) : view.getUint16.bind(view);
  const values = new Int32Array(bytes.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = read(2 * i, true);
  return new NDArray(shape, "int32", values);
}

function colonsOutsideStrings(json: string): number {
  let colons = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const character = json[i];
    if (character === '"') inString = !inString;
    else if (character === "\\") i++;
    else if (character === ":" && !inString) colons++;
  }
  return colons;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** A value from the file, for an error; does not descend, since JSON.stringify fails on deep nesting. */
function quoted(value: unknown): string {
  if (Array.isArray(value)) return shortened(`[${value.slice(0, 16).map((item) => (isScalar(item) ? item : "…"))}]`);
  if (!isScalar(value)) return "an object";
  return shortened(JSON.stringify(value) ?? "nothing");
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

/** Text from the file, for an error, cut to a reasonable length. */
function shortened(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 97)}…`;
}
