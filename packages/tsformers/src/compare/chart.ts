import { escapeHtml } from "./escape-html.ts";

export type ChartPoint = { readonly x: number; readonly y: number; readonly deviation?: number };

/** A line of a chart. `slot` selects its colour and marker, the same in every chart of a page. */
export type ChartSeries = { readonly name: string; readonly slot: number; readonly points: readonly ChartPoint[] };

export type Chart = {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly ChartSeries[];
  /** Positions and texts of the ticks on the x axis. Default: round numbers. */
  readonly xTicks?: readonly { readonly x: number; readonly text: string }[];
  /** Logarithmic x axis, base 2. Default: linear. */
  readonly logarithmic?: boolean;
  /** Whether points have markers. Default: false. */
  readonly markers?: boolean;
};

const margin = { top: 10, right: 16, bottom: 42, left: 48 };

/**
 * A line chart as SVG of a fixed size in CSS pixels, without scripts or fonts of its own. Colours come from the page's
 * `--series-0…7`; every point has its figures as a tooltip. Points that are not finite are left out.
 */
export function renderChart(chart: Chart, size: { readonly width: number; readonly height: number }): string {
  const series = chart.series.map((one) => ({
    ...one,
    points: one.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)),
  }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return `<p class="empty">Nothing was measured.</p>`;
  const project = (x: number) => (chart.logarithmic ? Math.log2(x) : x);
  const ys = points.flatMap(({ y, deviation = 0 }) => [y - deviation, y + deviation]);
  const yTicks = roundTicks(Math.min(...ys), Math.max(...ys), 5);
  const xs = points.map(({ x }) => project(x));
  const [xLow, xHigh] = padded(Math.min(...xs), Math.max(...xs), chart.logarithmic ? 0.04 : 0);
  const [yLow, yHigh] = [Math.min(yTicks[0]!, ...ys), Math.max(yTicks.at(-1)!, ...ys)];
  const inner = { width: size.width - margin.left - margin.right, height: size.height - margin.top - margin.bottom };
  const px = (x: number) => round(margin.left + ((project(x) - xLow) / (xHigh - xLow)) * inner.width);
  const py = (y: number) => round(margin.top + (1 - (y - yLow) / (yHigh - yLow)) * inner.height);
  const xTicks =
    chart.xTicks ??
    roundTicks(Math.min(...xs), Math.max(...xs), size.width < 500 ? 4 : 8)
      .filter((x) => x >= xLow && x <= xHigh)
      .map((x) => ({ x, text: number(x) }));
  const bottom = margin.top + inner.height;
  const right = margin.left + inner.width;
  const label = `${chart.title}: ${series.map(({ name }) => name).join(", ")}`;
  return [
    `<svg viewBox="0 0 ${size.width} ${size.height}" width="${size.width}" height="${size.height}" role="img" aria-label="${escapeHtml(label)}">`,
    ...yTicks.map(
      (y) =>
        `<line class="grid" x1="${margin.left}" x2="${right}" y1="${py(y)}" y2="${py(y)}"/><text class="tick" x="${margin.left - 8}" y="${py(y) + 4}" text-anchor="end">${number(y)}</text>`,
    ),
    `<line class="axis" x1="${margin.left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`,
    ...xTicks.map(
      ({ x, text }) =>
        `<line class="axis" x1="${px(x)}" x2="${px(x)}" y1="${bottom}" y2="${bottom + 4}"/><text class="tick" x="${px(x)}" y="${bottom + 18}" text-anchor="middle">${escapeHtml(text)}</text>`,
    ),
    `<text class="label" x="${margin.left + inner.width / 2}" y="${size.height - 6}" text-anchor="middle">${escapeHtml(chart.xLabel)}</text>`,
    `<text class="label" transform="translate(12 ${margin.top + inner.height / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(chart.yLabel)}</text>`,
    ...series.flatMap((one) => seriesMarks(one, px, py, chart.markers ?? false)),
    `</svg>`,
  ].join("\n");
}

type Projection = (value: number) => number;

function seriesMarks({ name, slot, points }: ChartSeries, px: Projection, py: Projection, markers: boolean): string[] {
  const colour = `var(--series-${slot % 8})`;
  const path = points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${px(x)} ${py(y)}`).join("");
  const upper = points.map(({ x, y, deviation = 0 }) => `${px(x)} ${py(y + deviation)}`);
  const lower = points.map(({ x, y, deviation = 0 }) => `${px(x)} ${py(y - deviation)}`).reverse();
  const spreads = points.some(({ deviation = 0 }) => deviation > 0);
  const dash = slot >= 8 ? ' stroke-dasharray="6 4"' : "";
  return [
    ...(spreads ? [`<path d="M${[...upper, ...lower].join("L")}Z" fill="${colour}" opacity="0.16"/>`] : []),
    `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"${dash}/>`,
    ...(markers || points.length === 1
      ? points.map((point) => {
          const tip = `<title>${escapeHtml(`${name}: ${number(point.x)} → ${point.y.toFixed(3)}`)}</title>`;
          return `<g transform="translate(${px(point.x)} ${py(point.y)})" fill="${colour}">${marker(slot)}${tip}</g>`;
        })
      : []),
  ];
}

/** Markers differ in shape as well as colour, for readers who cannot distinguish the colours. */
export function marker(slot: number): string {
  const shapes = [
    '<circle r="4.5"/>',
    '<rect x="-4" y="-4" width="8" height="8"/>',
    '<path d="M0 -5.5L5 4H-5Z"/>',
    '<path d="M0 -5.5L5.5 0L0 5.5L-5.5 0Z"/>',
  ];
  return shapes[slot % shapes.length]!;
}

/** About `count` round numbers that cover the range. */
function roundTicks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(last - first, 1) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function padded(low: number, high: number, share: number): [number, number] {
  if (low === high) return [low - 1, high + 1];
  const pad = (high - low) * share;
  return [low - pad, high + pad];
}

function number(x: number): string {
  return x.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}
