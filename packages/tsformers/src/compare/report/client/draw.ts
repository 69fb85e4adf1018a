import { CustomChart, LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { LabelLayout } from "echarts/features";
import { SVGRenderer } from "echarts/renderers";
import type { ChartSpec, SeriesSpec } from "./chart-spec.ts";
import { lookOf } from "./palette.ts";
import { type Scale, scaleOf } from "./scale.ts";
import { spreadOut } from "./spread-out.ts";
import { tooltip } from "./tooltip.ts";

echarts.use([LineChart, ScatterChart, CustomChart, GridComponent, TooltipComponent, LabelLayout, SVGRenderer]);

type Size = { readonly width: number; readonly height: number };
type Option = Parameters<echarts.ECharts["setOption"]>[0];
type Series = Readonly<Record<string, unknown>>;

/** Between points of the axis's labels. */
const digitWidth = 7;
/** At most so many lines have their names at their ends. */
const mostEndLabels = 6;
const endLabelHeight = 15;

/** A chart in an element. Colours are variables of the style sheet: a change of theme, or paper, needs no new drawing. */
export type Drawing = { draw(spec: ChartSpec, size: Size): void };

export function makeDrawing(element: HTMLElement, slotOf: (variant: string) => number): Drawing {
  let chart: echarts.ECharts | undefined;
  return {
    draw(spec, size) {
      chart ??= echarts.init(element, null, { renderer: "svg", ...size });
      chart.resize(size);
      chart.setOption(optionOf(spec, size, slotOf), { notMerge: true });
      // Lets the style sheet scale it, such as on paper.
      element.querySelector("svg")?.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    },
  };
}

function optionOf(spec: ChartSpec, { width, height }: Size, slotOf: (variant: string) => number): Option {
  const [top, bottom] = [spec.lines ? 14 : 26, 26];
  const points = spec.series.flatMap((one) => one.points);
  const marks = spec.verticals?.map(({ x }) => x) ?? [];
  const ys = points.flatMap(({ y, low = y, high = y }) => [y, low, high]);
  const levels = (spec.levels ?? []).filter(({ y }) => isNear(y, ys));
  const y = scaleOf(spec.y, [...ys, ...levels.map((level) => level.y)], Math.round(height / 52));
  const left = Math.max(...y.ticks.map(({ text }) => text.length), 2) * digitWidth + 12;
  const named = namedEnds(spec, width);
  const right = Math.min(190, Math.max(0.3, ...named.map(({ name }) => name.length)) * 6.8 + 16);
  const xs = [...points.map((point) => point.x), ...marks];
  const x = scaleOf(spec.x, xs, Math.max(2, Math.floor((width - left - right) / 72)));
  const place = ([px, py]: readonly [number, number]) => [x.project(px), y.project(py)];
  const pixels = (height - top - bottom) / (y.max - y.min);
  const ends = endLabels(named, (value) => (y.max - y.project(value)) * pixels);
  const series: Series[] = [
    ...levels.map((level) => levelLine(level, x, y)),
    ...(spec.verticals ?? []).map((vertical) => verticalLine(vertical, x, y)),
    ...(spec.front === undefined ? [] : [frontLine(spec.front, place)]),
    ...spec.series.flatMap((one) => ranges(one, slotOf(one.variant), place, spec.lines)),
    ...spec.series.map((one) =>
      spec.lines
        ? line(one, slotOf(one.variant), place, ends.get(one.variant))
        : scatter(one, slotOf(one.variant), place, (x.min + x.max) / 2, width),
    ),
    ...(spec.places === undefined ? [] : [placeMarks(spec.places, place)]),
  ];
  return {
    animation: false,
    textStyle: { fontFamily: "inherit" },
    grid: { left, right, top, bottom, outerBoundsMode: "none" },
    xAxis: axisOption(x, false),
    yAxis: axisOption(y, true),
    tooltip: tooltip(spec, slotOf),
    series,
  };
}

function axisOption({ min, max, ticks }: Scale, isVertical: boolean): Record<string, unknown> {
  const customValues = ticks.map(({ at }) => at);
  const textOf = (value: number) => ticks.find(({ at }) => Math.abs(at - value) <= (max - min) * 1e-6)?.text ?? "";
  return {
    type: "value",
    min,
    max,
    axisLine: { show: !isVertical, onZero: false, lineStyle: { color: "var(--axis)" } },
    axisTick: { show: !isVertical, customValues, length: 4, lineStyle: { color: "var(--axis)" } },
    splitLine: { show: isVertical, lineStyle: { color: "var(--rule)", width: 1 } },
    axisLabel: {
      customValues,
      formatter: textOf,
      color: "var(--soft)",
      fontSize: 12,
      hideOverlap: true,
      showMinLabel: true,
      showMaxLabel: true,
    },
  };
}

type Place = (point: readonly [number, number]) => number[];

function line(
  { variant, part, points, faint = false, markers = false }: SeriesSpec,
  slot: number,
  place: Place,
  end: EndLabel | undefined,
): Series {
  const { colour, shape, dash } = lookOf(slot);
  return {
    type: "line",
    id: `line:${variant}:${part ?? ""}`,
    name: part === undefined ? variant : `${variant}, ${part}`,
    data: points.map((point) => ({ value: place([point.x, point.y]), point })),
    symbol: `path://${shape}`,
    symbolSize: 9,
    showSymbol: markers || points.length === 1,
    showAllSymbol: true,
    lineStyle: { color: colour, width: faint ? 1.25 : 2, type: dash, opacity: faint ? 0.65 : 1 },
    itemStyle: { color: colour, opacity: 1 },
    emphasis: { disabled: true },
    ...(end !== undefined &&
      !faint && {
        endLabel: { show: true, formatter: end.name, offset: [0, end.shift], color: colour, fontSize: 12, distance: 6 },
      }),
    z: 3,
  };
}

function scatter({ variant, points }: SeriesSpec, slot: number, place: Place, middle: number, width: number): Series {
  const { colour, shape } = lookOf(slot);
  return {
    type: "scatter",
    id: `points:${variant}`,
    name: variant,
    data: points.map((point) => {
      const value = place([point.x, point.y]);
      const isRight = value[0]! > middle;
      const label =
        point.name === undefined
          ? {}
          : {
              label: {
                show: true,
                formatter: cut(point.name, width < 600 ? 20 : 34),
                position: "top",
                align: isRight ? "right" : "left",
                distance: 7,
                color: "var(--ink)",
                fontSize: 12,
                textBorderColor: "var(--page)",
                textBorderWidth: 3,
              },
            };
      return { value, point, ...label };
    }),
    symbol: `path://${shape}`,
    symbolSize: 12,
    itemStyle: { color: colour, borderColor: "var(--page)", borderWidth: 1, opacity: 1 },
    emphasis: { disabled: true },
    labelLayout: { hideOverlap: true },
    z: 4,
  };
}

/** Bands of lines, and bars of points. */
function ranges({ variant, part, points, faint }: SeriesSpec, slot: number, place: Place, isBand: boolean): Series[] {
  const ranged = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  if (faint || !ranged.some(({ low, high }) => high! > low!)) return [];
  const { colour } = lookOf(slot);
  const ends = ranged.map(({ x, low, high }) => [place([x, low!]), place([x, high!])] as const);
  const common = { type: "custom", silent: true, clip: true, tooltip: { show: false } };
  type Api = { coord(value: readonly number[]): number[] };
  // A band of one point would have no width.
  if (!isBand || ends.length === 1)
    return [
      {
        ...common,
        id: `bar:${variant}`,
        z: 2,
        data: ends.map(([low]) => low),
        renderItem: ({ dataIndex }: { dataIndex: number }, api: Api) => {
          const [from, to] = ends[dataIndex]!.map((end) => api.coord(end)) as [number[], number[]];
          return {
            type: "line",
            shape: { x1: from[0], y1: from[1], x2: to[0], y2: to[1] },
            style: { stroke: colour, lineWidth: 1.5, opacity: 0.7 },
          };
        },
      },
    ];
  return [
    {
      ...common,
      id: `band:${variant}:${part ?? ""}`,
      z: 1,
      data: [ends[0]![0]],
      renderItem: (_: unknown, api: Api) => ({
        type: "polygon",
        shape: {
          points: [...ends.map(([low]) => api.coord(low)), ...ends.map(([, high]) => api.coord(high)).reverse()],
        },
        style: { fill: colour, opacity: 0.16 },
      }),
    },
  ];
}

const plainLine = {
  type: "line",
  silent: true,
  symbol: "none",
  tooltip: { show: false },
  emphasis: { disabled: true },
};

function frontLine({ points, step }: NonNullable<ChartSpec["front"]>, place: Place): Series {
  return {
    ...plainLine,
    id: "front",
    step,
    data: points.map(({ x, y }) => place([x, y])),
    lineStyle: { color: "var(--axis)", width: 1.5, type: [5, 4] },
    z: 1,
  };
}

function verticalLine({ x: at, text }: { x: number; text: string }, x: Scale, y: Scale): Series {
  const px = x.project(at);
  const isRight = px > (x.min + x.max) / 2;
  return {
    ...plainLine,
    id: `vertical:${at}`,
    data: [
      [px, y.min],
      { value: [px, y.max], label: label(text, isRight ? "left" : "right"), symbol: "circle", symbolSize: 0.1 },
    ],
    showSymbol: true,
    symbolSize: 0.1,
    lineStyle: { color: "var(--axis)", width: 1.5, type: [2, 3] },
    z: 1,
  };
}

function levelLine({ y: at, text }: { y: number; text: string }, x: Scale, y: Scale): Series {
  const py = y.project(at);
  return {
    ...plainLine,
    id: `level:${text}`,
    data: [{ value: [x.min, py], label: { ...label(text, "top"), align: "left" } }, [x.max, py]],
    showSymbol: true,
    symbol: "circle",
    symbolSize: 0.1,
    lineStyle: { color: "var(--axis)", width: 1.25, type: [2, 3] },
    z: 1,
  };
}

function label(text: string, position: string): Record<string, unknown> {
  return { show: true, formatter: text, position, color: "var(--soft)", fontSize: 12, distance: 5 };
}

function placeMarks(places: NonNullable<ChartSpec["places"]>, place: Place): Series {
  return {
    type: "scatter",
    id: "places",
    silent: true,
    tooltip: { show: false },
    data: places.map(({ x, y, text }) => ({
      value: place([x, y]),
      label: { show: true, formatter: text, position: "inside", color: "var(--page)", fontSize: 10, fontWeight: 700 },
    })),
    symbol: "circle",
    symbolSize: 17,
    itemStyle: { color: "var(--ink)", borderColor: "var(--page)", borderWidth: 1.5, opacity: 1 },
    emphasis: { disabled: true },
    z: 6,
  };
}

type End = { readonly variant: string; readonly name: string; readonly y: number };

/** Ends of lines that are named: those at the right edge, where there are few lines and much room. Others would be in the way there; the legend has all. */
function namedEnds({ lines, series }: ChartSpec, width: number): End[] {
  if (!lines || width < 720 || new Set(series.map(({ variant }) => variant)).size > mostEndLabels) return [];
  const right = Math.max(...series.flatMap(({ points }) => points.map(({ x }) => x)));
  return series.flatMap(({ variant, part, points }) => {
    const last = points.at(-1);
    return part !== undefined || last?.x !== right ? [] : [{ variant, name: cut(variant, 26), y: last.y }];
  });
}

type EndLabel = { readonly name: string /** In pixels downwards. */; readonly shift: number };

/** Names move apart where they would cover each other. */
function endLabels(ends: readonly End[], pixelOf: (y: number) => number): Map<string, EndLabel> {
  const places = ends.map(({ y }) => pixelOf(y));
  const moved = spreadOut(places, endLabelHeight);
  return new Map(ends.map(({ variant, name }, i) => [variant, { name, shift: moved[i]! - places[i]! }]));
}

/** Whether a level is within the data's range, or so near that showing it costs little room. */
function isNear(level: number, values: readonly number[]): boolean {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.35;
  return level >= low - room && level <= high + room;
}

export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
