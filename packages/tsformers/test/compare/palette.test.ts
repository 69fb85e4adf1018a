import { describe, expect, it } from "vitest";
import { reportStyle } from "../../src/compare/report/style.ts";

type Rgb = readonly [red: number, green: number, blue: number];

/** Linear light of `#rrggbb`. */
function linear(hex: string): Rgb {
  const channel = (i: number) => {
    const value = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

const times = (matrix: readonly Rgb[], [r, g, b]: Rgb) =>
  matrix.map((row) => Math.min(1, Math.max(0, row[0] * r + row[1] * g + row[2] * b))) as unknown as Rgb;

/** How readers see, as matrices of linear light. @source Machado, Oliveira & Fernandes 2009, table 1, severity 1 */
const visions: Readonly<Record<string, readonly Rgb[]>> = {
  "all colours": [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** Distances in OKLab are about as large as they seem. @source Ottosson 2020, "A perceptual color space for image processing" */
function oklab([r, g, b]: Rgb): Rgb {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** WCAG 2: 3 is enough for lines and marks. */
function contrast(a: Rgb, b: Rgb): number {
  const luminance = ([r, g, blue]: Rgb) => 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  const [dark, bright] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (bright + 0.05) / (dark + 0.05);
}

/** Values of a variable of the style sheet, in light and in dark. */
function valuesOf(name: string): { light: Rgb; dark: Rgb } {
  const [light, dark] = [...reportStyle.matchAll(new RegExp(`--${name}: (#[0-9a-f]{6})`, "g"))].map(([, hex]) => hex!);
  return { light: linear(light!), dark: linear(dark!) };
}

describe.each(["light", "dark"] as const)("colours of variants on a %s page", (theme) => {
  const colours = Array.from({ length: 8 }, (_, slot) => valuesOf(`series-${slot}`)[theme]);
  const page = valuesOf("page")[theme];

  it.each(Object.keys(visions))("are told apart by readers with %s", (vision) => {
    const seen = colours.map((colour) => oklab(times(visions[vision]!, colour)));
    const distances = seen.flatMap((a, i) => seen.slice(0, i).map((b) => Math.hypot(...a.map((x, k) => x - b[k]!))));
    expect(Math.min(...distances)).toBeGreaterThan(vision === "all colours" ? 0.16 : 0.1);
  });

  it("stand out from it", () => {
    for (const colour of colours) expect(contrast(colour, page)).toBeGreaterThan(3);
  });
});
