import type { ChartSpec, PointSpec, SeriesSpec } from "./chart-spec.ts";
import { none } from "./format.ts";
import { type Column, dataTable } from "./table.ts";

/** Where there are more places on the x axis than these, they go downwards. */
const mostAcross = 12;

/** The numbers of a chart as a table. */
export function chartTable(spec: ChartSpec): HTMLElement {
  if (!spec.lines) return pointsTable(spec);
  const xs = [...new Set(spec.series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const pointAt = ({ points }: SeriesSpec, at: number) => points.find(({ x }) => x === at);
  if (xs.length <= mostAcross) {
    const columns: Column<SeriesSpec>[] = [
      { name: "variant", text: true, value: nameOf, cell: nameOf },
      ...xs.map(
        (at): Column<SeriesSpec> => ({
          name: spec.x.text(at),
          value: (one) => pointAt(one, at)?.y,
          cell: (one) => pointText(spec, pointAt(one, at)),
        }),
      ),
    ];
    return dataTable({ caption: `${spec.y.label} by ${spec.x.label}`, columns, rows: spec.series });
  }
  const columns: Column<number>[] = [
    { name: spec.x.label, value: (at) => at, cell: (at) => spec.x.text(at) },
    ...spec.series.map(
      (one): Column<number> => ({ name: nameOf(one), cell: (at) => pointText(spec, pointAt(one, at)) }),
    ),
  ];
  return dataTable({ caption: `${spec.y.label} by ${spec.x.label}`, columns, rows: xs });
}

function pointsTable({ x, y, series }: ChartSpec): HTMLElement {
  const rows = series.flatMap((one) => one.points.map((point) => ({ one, point })));
  type Row = (typeof rows)[number];
  const columns: Column<Row>[] = [
    { name: "variant", text: true, value: ({ one }) => nameOf(one), cell: ({ one }) => nameOf(one) },
    { name: x.label, value: ({ point }) => point.x, cell: ({ point }) => x.text(point.x) },
    { name: y.label, value: ({ point }) => point.y, cell: ({ point }) => y.text(point.y) },
  ];
  return dataTable({ caption: `${y.label} and ${x.label}`, columns, rows });
}

function pointText({ y }: ChartSpec, point: PointSpec | undefined): string {
  if (point === undefined) return none;
  const { low, high } = point;
  return low === undefined || high === undefined || low === high
    ? y.text(point.y)
    : `${y.text(point.y)} (${y.text(low)} to ${y.text(high)})`;
}

function nameOf({ variant, part }: SeriesSpec): string {
  return part === undefined ? variant : `${variant}, ${part}`;
}
