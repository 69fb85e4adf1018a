import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { encodePng } from "../../src/io/png.ts";
import { decodePng } from "../../src/io/read-png.ts";

/** A PNG file of lines that begin with the number of their filter. */
function png(
  lines: readonly (readonly number[])[],
  {
    columns,
    bits = 8,
    colourType = 0,
    interlace = 0,
    palette,
  }: { columns: number; bits?: number; colourType?: number; interlace?: number; palette?: readonly number[] },
): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(columns, 0);
  header.writeUInt32BE(lines.length, 4);
  header.set([bits, colourType, 0, 0, interlace], 8);
  const chunk = (type: string, data: Uint8Array): Buffer => {
    const bytes = Buffer.alloc(12 + data.length);
    bytes.writeUInt32BE(data.length, 0);
    bytes.write(type, 4, "latin1");
    bytes.set(data, 8);
    return bytes;
  };
  return Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    ...(palette === undefined ? [] : [chunk("PLTE", Uint8Array.from(palette))]),
    chunk("IDAT", deflateSync(Uint8Array.from(lines.flat()))),
    chunk("IEND", new Uint8Array()),
  ]);
}

describe("decodePng", () => {
  it.each([1, 3])("gives back what encodePng wrote, with %i channels", (channels) => {
    const size = { rows: 3, columns: 5, channels };
    const values = Uint8Array.from({ length: 15 * channels }, (_, i) => (i * 83) % 256);
    expect(decodePng(encodePng(values, size), "a.png")).toEqual({ ...size, values });
  });

  it("undoes each filter", () => {
    // The same line 10 20 250, told by each of the five filters.
    const lines = [
      [0, 10, 20, 250],
      [1, 10, 10, 230],
      [2, 0, 0, 0],
      // The mean of left and above, rounded down: 5, 15, 135.
      [3, 5, 5, 115],
      // The nearest of left, above and corner to left + above − corner.
      [4, 0, 0, 0],
    ];
    const { values } = decodePng(png(lines, { columns: 3 }), "a.png");
    expect(Array.from(values)).toEqual(Array.from({ length: 5 }, () => [10, 20, 250]).flat());
  });

  it("reads single bits, palettes and grey with opacity", () => {
    const bits = decodePng(png([[0, 0b10110000, 0b01000000]], { columns: 10, bits: 1 }), "a.png");
    expect(Array.from(bits.values, (value) => value / 255)).toEqual([1, 0, 1, 1, 0, 0, 0, 0, 0, 1]);
    const palette = [1, 2, 3, 4, 5, 6];
    const looked = decodePng(png([[0, 0b01000001]], { columns: 4, bits: 2, colourType: 3, palette }), "a.png");
    expect(looked).toMatchObject({ channels: 3, rows: 1, columns: 4 });
    expect(Array.from(looked.values)).toEqual([4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6]);
    const grey = decodePng(png([[0, 9, 255, 7, 0]], { columns: 2, colourType: 4 }), "a.png");
    expect(grey).toEqual({ rows: 1, columns: 2, channels: 4, values: Uint8Array.of(9, 9, 9, 255, 7, 7, 7, 0) });
  });

  it.each([
    ["no PNG", Buffer.from("GIF89a"), "is no PNG file"],
    ["cut off", encodePng(new Uint8Array(4), { rows: 2, columns: 2, channels: 1 }).subarray(0, 60), "ends too early"],
    ["too few lines", png([[0, 1, 2]], { columns: 5 }), "lines are missing"],
    ["more lines than it says", png([[0, 1, 2, 3, 4]], { columns: 2 }), "is damaged"],
    ["an unknown filter", png([[5, 1]], { columns: 1 }), "a line has filter 5"],
    ["16 bits", png([[0, 1, 2]], { columns: 1, bits: 16 }), "expected 1 to 8 bits a sample, got 16"],
    ["interlaced", png([[0, 1]], { columns: 1, interlace: 1 }), "is interlaced"],
    ["a palette that is too short", png([[0, 3]], { columns: 1, colourType: 3, palette: [1, 2, 3] }), "too short"],
    ["far too many pixels", png([[0, 1]], { columns: 2 ** 31 - 1 }), "expected 1 to 67108864 pixels"],
  ])("refuses %s", (_, bytes, problem) => {
    expect(() => decodePng(bytes, "some.png")).toThrow(`some.png: `);
    expect(() => decodePng(bytes, "some.png")).toThrow(problem);
  });
});
