import { inflateSync } from "node:zlib";
import { FileError } from "./file-error.ts";

/** A picture of bytes, row by row and pixel by pixel: grey, colours, or colours with opacity. */
export type ReadPicture = {
  readonly values: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly channels: 1 | 3 | 4;
};

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** The most pixels that are read. */
const mostPixels = 2 ** 26;

/** Samples of a pixel by colour type: grey, colour, number in a palette, grey with opacity, colour with opacity. */
const samplesOf: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * The picture of a PNG file with 1 to 8 bits a sample. A palette is looked up; opacity is kept, that of grey pictures with the grey as a colour.
 *
 * @param path names the file in errors
 * @throws FileError for a file that is damaged or no PNG, for 16 bits a sample, and for interlaced pictures
 * @source W3C, "Portable Network Graphics (PNG) Specification", third edition, §5, §9 and §11
 */
export function decodePng(bytes: Uint8Array, path: string): ReadPicture {
  const fail = (problem: string): never => {
    throw new FileError(path, problem);
  };
  if (!signature.every((byte, i) => bytes[i] === byte)) fail("is no PNG file");
  const chunks = chunksOf(bytes, fail);
  const header = chunks.find(({ type }) => type === "IHDR")?.data;
  if (header === undefined || header.length !== 13) return fail("the PNG file is damaged: it has no header");
  const view = new DataView(header.buffer, header.byteOffset, 13);
  const [columns, rows, bits, colourType] = [view.getUint32(0), view.getUint32(4), header[8]!, header[9]!];
  const samples = samplesOf[colourType] ?? fail(`the PNG file is damaged: its colour type is ${colourType}`);
  if (![1, 2, 4, 8].includes(bits)) fail(`expected 1 to 8 bits a sample, got ${bits}`);
  if (header[12] !== 0) fail("is interlaced; save it without interlacing");
  if (!(rows >= 1 && columns >= 1 && rows * columns <= mostPixels))
    fail(`expected 1 to ${mostPixels} pixels, got ${rows} × ${columns}`);
  const lineBytes = Math.ceil((columns * samples * bits) / 8);
  const packed = Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data));
  const lines = inflated(packed, rows * (1 + lineBytes), fail);
  unfilter(lines, { rows, lineBytes, step: Math.max(1, (samples * bits) / 8) }, fail);
  const levels = 2 ** bits - 1;
  const values = new Uint8Array(rows * columns * samples);
  for (let row = 0; row < rows; row++) {
    const line = lines.subarray(row * (1 + lineBytes) + 1, (row + 1) * (1 + lineBytes));
    for (let i = 0; i < columns * samples; i++) {
      const shift = 8 - bits - ((i * bits) % 8);
      const sample = (line[(i * bits) >> 3]! >> shift) & levels;
      values[row * columns * samples + i] = colourType === 3 ? sample : Math.round((sample * 255) / levels);
    }
  }
  const size = { rows, columns };
  if (colourType === 3) {
    const palette = chunks.find(({ type }) => type === "PLTE")?.data ?? fail("the PNG file is damaged: no palette");
    if (values.some((entry) => 3 * entry + 3 > palette.length))
      fail("the PNG file is damaged: its palette is too short");
    return {
      values: Uint8Array.from(
        { length: 3 * values.length },
        (_, i) => palette[3 * values[Math.floor(i / 3)]! + (i % 3)]!,
      ),
      ...size,
      channels: 3,
    };
  }
  if (colourType === 4)
    return {
      values: Uint8Array.from({ length: 2 * values.length }, (_, i) => values[2 * (i >> 2) + (i % 4 === 3 ? 1 : 0)]!),
      ...size,
      channels: 4,
    };
  return { values, ...size, channels: samples as 1 | 3 | 4 };
}

type Fail = (problem: string) => never;
type Chunk = { readonly type: string; readonly data: Uint8Array };

function chunksOf(bytes: Uint8Array, fail: Fail): Chunk[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  for (let at = signature.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({ type, data: bytes.subarray(at + 8, at + 8 + length) });
    if (type === "IEND") return chunks;
    at += 12 + length;
  }
  return fail("the PNG file is damaged: it ends too early");
}

function inflated(packed: Uint8Array, expected: number, fail: Fail): Uint8Array {
  try {
    const lines = inflateSync(packed, { maxOutputLength: expected });
    return lines.length === expected ? new Uint8Array(lines) : fail("the PNG file is damaged: lines are missing");
  } catch (error) {
    if (error instanceof FileError) throw error;
    return fail(`the PNG file is damaged (${(error as Error).message})`);
  }
}

/** Lines as they were before each was filtered, in place. @param step bytes from a pixel to the next, at least 1 */
function unfilter(
  lines: Uint8Array,
  { rows, lineBytes, step }: { readonly rows: number; readonly lineBytes: number; readonly step: number },
  fail: Fail,
): void {
  for (let row = 0; row < rows; row++) {
    const from = row * (1 + lineBytes) + 1;
    const filter = lines[from - 1]!;
    if (filter > 4) fail(`the PNG file is damaged: a line has filter ${filter}`);
    for (let i = 0; i < lineBytes; i++) {
      const left = i < step ? 0 : lines[from + i - step]!;
      const above = row === 0 ? 0 : lines[from + i - 1 - lineBytes]!;
      const corner = row === 0 || i < step ? 0 : lines[from + i - 1 - lineBytes - step]!;
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter]!;
      lines[from + i] = lines[from + i]! + predicted;
    }
  }
}

/** Whichever of the three neighbours is nearest to left + above − corner. */
function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(guess - value)) as [number, number, number];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}
