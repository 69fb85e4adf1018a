import { crc32, deflateSync } from "node:zlib";

/**
 * A picture as a PNG file: 8 bits a channel, grey or red, green and blue.
 *
 * @param values bytes, row by row and pixel by pixel
 * @throws RangeError when they are not as many as the picture has
 * @source W3C, "Portable Network Graphics (PNG) Specification", third edition, §5 and §11
 */
export function encodePng(
  values: Uint8Array,
  { rows, columns, channels }: { readonly rows: number; readonly columns: number; readonly channels: number },
): Uint8Array {
  const colourType = ({ 1: 0, 3: 2 } as Readonly<Record<number, number>>)[channels];
  if (colourType === undefined || values.length !== rows * columns * channels)
    throw new RangeError(
      `encodePng: expected 1 or 3 channels and as many values as there are, got ${rows} × ${columns} × ${channels} and ${values.length}`,
    );
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, columns);
  header.setUint32(4, rows);
  header.setUint8(8, 8);
  header.setUint8(9, colourType);
  const width = columns * channels;
  // Each row begins with the number of its filter; 0 is none.
  const lines = new Uint8Array(rows * (1 + width));
  for (let row = 0; row < rows; row++)
    lines.set(values.subarray(row * width, (row + 1) * width), row * (1 + width) + 1);
  return Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", deflateSync(lines)),
    chunk("IEND", new Uint8Array()),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const named = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const bytes = Buffer.alloc(named.length + 8);
  bytes.writeUInt32BE(data.length, 0);
  bytes.set(named, 4);
  bytes.writeUInt32BE(crc32(named), named.length + 4);
  return bytes;
}
