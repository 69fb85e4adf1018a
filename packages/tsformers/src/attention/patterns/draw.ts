import { uniteRuns } from "../core/runs.ts";
import type { Pattern, Runs } from "./pattern.ts";

/** A pattern as a grid of square cells. */
export type Picture = {
  /** Cells along each side. */
  readonly size: number;
  /** Queries, and keys, of a cell: `cell²` pairs. */
  readonly cell: number;
  /** For each row of cells, first queries first: the cells that contain a visible pair. */
  readonly rows: readonly Runs[];
};

/**
 * The picture of a pattern that is the same for all heads, at some length, scaled down to at most `largest` cells a side.
 *
 * A cell is set if any of its pairs is visible: thin lines survive, and areas look denser than they are.
 */
export function pictureOf(pattern: Pick<Pattern, "keys">, length: number, largest: number): Picture {
  const cell = Math.max(1, Math.ceil(length / largest));
  const rows = Array.from({ length: Math.ceil(length / cell) }, (_, row) => {
    let seen: Runs = [];
    for (let query = row * cell; query < Math.min(length, (row + 1) * cell); query++) {
      seen = uniteRuns(seen, shrunk(pattern.keys(query, length), cell));
    }
    return seen;
  });
  return { size: rows.length, cell, rows };
}

function shrunk(runs: Runs, cell: number): Runs {
  if (cell === 1) return runs;
  const cells: number[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    const [from, to] = [Math.floor(runs[i]! / cell), Math.ceil(runs[i + 1]! / cell)];
    if (cells.length > 0 && from <= cells.at(-1)!) cells[cells.length - 1] = Math.max(cells.at(-1)!, to);
    else cells.push(from, to);
  }
  return cells;
}

/** One of the pictures of what a stack of layers sees. */
export type Panel = { readonly title: string; readonly pattern: Pick<Pattern, "keys"> };

export type DrawOptions = {
  readonly length: number;
  /** Width of the terminal, in characters. */
  readonly columns: number;
  /** Whether non-ASCII characters can be shown. */
  readonly unicode: boolean;
};

const gap = 2;

/**
 * Patterns as text, queries downwards and keys to the right: side by side where there is room.
 *
 * A character holds one key and two queries, or, where a picture would be too wide, two keys and four queries (Braille dots);
 * beyond that, a dot covers several positions.
 */
export function drawPanels(panels: readonly Panel[], { length, columns, unicode }: DrawOptions): string {
  const together = Math.min(panels.length, 2);
  const room = Math.max(1, Math.floor((columns + gap) / together) - gap - 2);
  const glyphs = !unicode ? asciiHalves : length <= room ? halves : braille;
  const drawn = panels.map(({ title, pattern }) => {
    const picture = pictureOf(pattern, length, room * glyphs.wide);
    const lines = framed(textOf(picture, glyphs), unicode);
    return { title, lines, picture, width: lines[0]!.length };
  });
  const perLine = Math.max(1, Math.floor((columns + gap) / ((drawn[0]?.width ?? 0) + gap)));
  const blocks: string[] = [];
  for (let i = 0; i < drawn.length; i += perLine) blocks.push(beside(drawn.slice(i, i + perLine), columns, unicode));
  const cell = drawn[0]?.picture.cell ?? 1;
  const arrows = unicode ? "queries ↓, keys →" : "queries down, keys across";
  const scale = cell === 1 ? [] : [`a dot: any of ${cell} by ${cell} pairs`];
  const legend = [arrows, ...scale].join("; ");
  return [...blocks, ...(legend.length <= columns ? [legend] : [arrows, ...scale])].join("\n");
}

type Glyphs = {
  /** Cells in a character, horizontally. */
  readonly wide: number;
  readonly high: number;
  /** The character for these cells, row by row. */
  readonly glyph: (set: readonly boolean[]) => string;
};

const halves: Glyphs = {
  wide: 1,
  high: 2,
  glyph: ([upper, lower]) => (upper ? (lower ? "█" : "▀") : lower ? "▄" : " "),
};

const asciiHalves: Glyphs = {
  wide: 1,
  high: 2,
  glyph: ([upper, lower]) => (upper ? (lower ? "#" : "'") : lower ? "." : " "),
};

/** Bit values of the eight Braille dots, row by row. */
const brailleBits = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];

const braille: Glyphs = {
  wide: 2,
  high: 4,
  glyph: (set) => String.fromCodePoint(set.reduce((code, dot, i) => code | (dot ? brailleBits[i]! : 0), 0x2800)),
};

function textOf({ size, rows }: Picture, { wide, high, glyph }: Glyphs): string[] {
  const isSet = (row: number, column: number): boolean => {
    const runs = rows[row] ?? [];
    for (let i = 0; i < runs.length; i += 2) if (column >= runs[i]! && column < runs[i + 1]!) return true;
    return false;
  };
  return Array.from({ length: Math.ceil(size / high) }, (_, line) =>
    Array.from({ length: Math.ceil(size / wide) }, (_, at) =>
      glyph(
        Array.from({ length: wide * high }, (_, i) =>
          isSet(line * high + Math.floor(i / wide), at * wide + (i % wide)),
        ),
      ),
    ).join(""),
  );
}

function framed(lines: readonly string[], unicode: boolean): string[] {
  const [corners, across, down] = unicode ? (["┌┐└┘", "─", "│"] as const) : (["++++", "-", "|"] as const);
  const edge = across.repeat(lines[0]?.length ?? 0);
  return [
    `${corners[0]}${edge}${corners[1]}`,
    ...lines.map((line) => `${down}${line}${down}`),
    `${corners[2]}${edge}${corners[3]}`,
  ];
}

type Drawn = { readonly title: string; readonly lines: readonly string[]; readonly width: number };

function beside(drawn: readonly Drawn[], columns: number, unicode: boolean): string {
  const space = " ".repeat(gap);
  const titles = drawn.map(({ title, width }) =>
    cut(title, drawn.length === 1 ? columns : width, unicode).padEnd(width),
  );
  const height = Math.max(...drawn.map(({ lines }) => lines.length));
  const rows = Array.from({ length: height }, (_, row) =>
    drawn.map(({ lines, width }) => (lines[row] ?? "").padEnd(width)).join(space),
  );
  return [titles.join(space).trimEnd(), ...rows].join("\n");
}

function cut(text: string, width: number, unicode: boolean): string {
  const dots = unicode ? "…" : "...";
  const plain = unicode ? text : text.replace(/[^ -~]+/g, (other) => (/[…‖]/.test(other) ? "-" : "x"));
  return plain.length <= width ? plain : `${plain.slice(0, Math.max(0, width - dots.length))}${dots}`;
}

/** Patterns as a self-contained SVG, 512 pixels a side each, below one another; at most 1,024 cells a side. */
export function patternSvg(panels: readonly Panel[], length: number): string {
  const [side, title, margin] = [512, 24, 12];
  const height = panels.length * (side + title + margin) + margin;
  const width = side + 2 * margin;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>${escaped(panels.map(({ title }) => title).join(", "))}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...panels.flatMap((panel, i) => {
      const picture = pictureOf(panel.pattern, length, 1024);
      const top = margin + i * (side + title + margin);
      const scale = side / picture.size;
      return [
        `<text x="${margin}" y="${top + 14}" font-family="sans-serif" font-size="13" fill="#222222">${escaped(panel.title)}</text>`,
        `<g transform="translate(${margin} ${top + title})">`,
        `<rect width="${side}" height="${side}" fill="#eef1f5"/>`,
        `<path transform="scale(${scale})" fill="#1f5fa8" shape-rendering="crispEdges" d="${rectangles(picture)}"/>`,
        `<rect width="${side}" height="${side}" fill="none" stroke="#8a94a3"/>`,
        "</g>",
      ];
    }),
    "</svg>",
    "",
  ].join("\n");
}

/** Merges equal runs of consecutive rows into rectangles. */
function rectangles({ rows }: Picture): string {
  const path: string[] = [];
  let open = new Map<string, number>();
  const close = (run: string, from: number, to: number) => {
    const [left, right] = run.split(" ").map(Number) as [number, number];
    path.push(`M${left} ${from}h${right - left}v${to - from}h${left - right}z`);
  };
  [...rows, []].forEach((runs, row) => {
    const next = new Map<string, number>();
    for (let i = 0; i < runs.length; i += 2) {
      const run = `${runs[i]} ${runs[i + 1]}`;
      next.set(run, open.get(run) ?? row);
    }
    for (const [run, from] of open) if (!next.has(run)) close(run, from, row);
    open = next;
  });
  return path.join("");
}

function escaped(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
