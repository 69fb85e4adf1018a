import { describe, expect, test } from "vitest";
import { axialLayers } from "../../src/attention/patterns/axial.ts";
import { perHead } from "../../src/attention/patterns/combine.ts";
import { dilatedHeads } from "../../src/attention/patterns/dilated.ts";
import { drawPanels, patternSvg, pictureOf } from "../../src/attention/patterns/draw.ts";
import { panelsOf } from "../../src/attention/patterns/panels.ts";
import { causal, denseMask, fullPattern, type Pattern } from "../../src/attention/patterns/pattern.ts";
import { slidingWindow } from "../../src/attention/patterns/window.ts";

const near = slidingWindow({ before: 1, after: 0 });
const panel = (pattern: Pattern) => [{ title: "a pattern", pattern }];

describe("text", () => {
  test("half blocks: one key wide, two queries high", () => {
    expect(drawPanels(panel(near), { length: 5, columns: 40, unicode: true })).toBe(
      ["a pattern", "┌─────┐", "│█▄   │", "│ ▀█▄ │", "│   ▀▀│", "└─────┘", "queries ↓, keys →"].join("\n"),
    );
  });

  test("plain characters", () => {
    expect(drawPanels(panel(near), { length: 5, columns: 40, unicode: false })).toBe(
      ["a pattern", "+-----+", "|#.   |", "| '#. |", "|   ''|", "+-----+", "queries down, keys across"].join("\n"),
    );
  });

  test("Braille where half blocks are too wide, with every dot in its place", () => {
    for (const pattern of [causal, near, slidingWindow({ before: 0, after: 20 })]) {
      const lines = drawPanels(panel(pattern), { length: 30, columns: 24, unicode: true }).split("\n").slice(2, -2);
      const shown = denseMask(pattern, 30).toNumbers();
      for (let i = 0; i < 30; i++) {
        for (let j = 0; j < 30; j++) {
          const code = lines[Math.floor(i / 4)]!.codePointAt(1 + Math.floor(j / 2))! - 0x2800;
          // Unicode counts dots 1 to 6 down the two columns, and 7 and 8 below them.
          const bit = i % 4 === 3 ? 6 + (j % 2) : 3 * (j % 2) + (i % 4);
          expect((code >> bit) & 1).toBe(shown[i * 30 + j]);
        }
      }
    }
  });

  test.each([24, 40, 80, 120])("never wider than %i columns", (columns) => {
    for (const unicode of [true, false]) {
      for (const length of [1, 3, 64, 100, 1000]) {
        const many = panelsOf(() => dilatedHeads({ before: 3, after: 3, dilations: [1, 2, 3] }), {
          layers: 2,
          heads: 4,
        });
        for (const panels of [panel(causal), many]) {
          const lines = drawPanels(panels, { length, columns, unicode }).split("\n");
          expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(Math.max(columns, 31));
          // Nothing but ASCII where that is asked for.
          if (!unicode) expect([...lines.join("")].every((character) => character < "\u007f")).toBe(true);
        }
      }
    }
  });

  test("says what a dot stands for", () => {
    expect(drawPanels(panel(causal), { length: 1000, columns: 40, unicode: true })).toContain(
      "a dot: any of 14 by 14 pairs",
    );
  });
});

describe("pictures", () => {
  test.each([64, 20, 7, 1])("of at most %i cells hold a cell where any pair is visible", (largest) => {
    const pattern = slidingWindow({ before: 3, after: 1 });
    const { size, cell, rows } = pictureOf(pattern, 50, largest);
    expect(size).toBe(Math.ceil(50 / cell));
    expect(size).toBeLessThanOrEqual(largest);
    const shown = denseMask(pattern, 50).toNumbers();
    rows.forEach((runs, row) => {
      for (let column = 0; column < size; column++) {
        const any = shown.some((one, at) => {
          return one === 1 && Math.floor(at / 50 / cell) === row && Math.floor((at % 50) / cell) === column;
        });
        expect(runs.some((from, i) => i % 2 === 0 && column >= from && column < runs[i + 1]!)).toBe(any);
      }
    });
  });

  test("a panel for each pattern that differs, and no more", () => {
    const titles = (patternOf: (layer: number) => Pattern) =>
      panelsOf(patternOf, { layers: 4, heads: 3 }).map(({ title }) => title);
    expect(titles(() => fullPattern)).toEqual(["full"]);
    const heads = perHead([fullPattern, causal]);
    expect(titles(() => heads)).toEqual(["heads 0 2: full", "head 1: causal"]);
    expect(titles(axialLayers({ columns: 4, causal: false }))).toEqual([
      "layers 0 2: row of 4",
      "layers 1 3: column of 4",
    ]);
  });

  test("as SVG: rectangles cover exactly the visible pairs", () => {
    const pattern = slidingWindow({ before: 2, after: 5 });
    const svg = patternSvg([{ title: 'a <"pattern">', pattern }], 20);
    expect(svg).not.toContain('<"');
    const cells = new Array<number>(400).fill(0);
    for (const [, left, top, width, height] of svg.matchAll(/M(\d+) (\d+)h(\d+)v(\d+)h-\d+z/g)) {
      for (let i = Number(top); i < Number(top) + Number(height); i++) {
        for (let j = Number(left); j < Number(left) + Number(width); j++) cells[i * 20 + j]!++;
      }
    }
    expect(cells).toEqual(denseMask(pattern, 20).toNumbers());
    expect(svg.match(/M\d/g)!.length).toBeLessThan(21);
  });
});
