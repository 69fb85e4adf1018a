import type { ChartSpec, PointSpec } from "./chart-spec.ts";
import { h } from "./dom.ts";
import { markerOf } from "./marker.ts";

type Hovered = {
  readonly seriesName?: string;
  readonly data?: { readonly point?: PointSpec } | readonly unknown[];
};

/** More are not read. */
const mostRows = 12;

/** Values under the pointer, the highest first. */
export function tooltip(spec: ChartSpec, slotOf: (variant: string) => number): Record<string, unknown> {
  return {
    trigger: spec.lines ? "axis" : "item",
    confine: true,
    transitionDuration: 0,
    backgroundColor: "var(--page)",
    borderColor: "var(--rule-strong)",
    padding: [8, 10],
    textStyle: { color: "var(--ink)", fontSize: 13 },
    extraCssText: "box-shadow: 0 2px 10px rgb(0 0 0 / 0.16); border-radius: 6px;",
    axisPointer: { type: "line", lineStyle: { color: "var(--axis)", type: "solid" } },
    formatter: (hovered: Hovered | readonly Hovered[]) => {
      const found = [hovered].flat().flatMap(({ seriesName = "", data }: Hovered) => {
        const point = data !== undefined && "point" in data ? data.point : undefined;
        return point === undefined ? [] : [{ name: seriesName, point }];
      });
      return found.length === 0 ? "" : content(spec, found, slotOf);
    },
  };
}

function content(
  { lines, x, y, series }: ChartSpec,
  found: readonly { readonly name: string; readonly point: PointSpec }[],
  slotOf: (variant: string) => number,
): HTMLElement {
  const sorted = [...found].sort((a, b) => b.point.y - a.point.y);
  const nameOf = ({ variant, part }: ChartSpec["series"][number]) =>
    part === undefined ? variant : `${variant}, ${part}`;
  const rows = sorted.slice(0, mostRows).map(({ name, point }) => {
    const variant = series.find((one) => nameOf(one) === name)?.variant ?? name;
    const range =
      point.low === undefined || point.high === undefined ? "" : ` (${y.text(point.low)} to ${y.text(point.high)})`;
    return h(
      "div",
      { class: "tip-row" },
      markerOf(slotOf(variant)),
      h("span", {}, name),
      h("b", {}, `${y.text(point.y)}${range}`),
    );
  });
  const { point } = found[0]!;
  const head = h("div", { class: "tip-head" }, `${x.label}: ${x.text(point.x)}`);
  const rest =
    sorted.length > mostRows ? h("div", { class: "tip-head" }, `and ${sorted.length - mostRows} more`) : undefined;
  const notes = lines
    ? []
    : found.flatMap(({ point: { note } }) => (note === undefined ? [] : [h("div", { class: "tip-head" }, note)]));
  return h("div", { class: "tip" }, ...(lines ? [head, ...rows] : [...rows, head]), ...notes, rest);
}
