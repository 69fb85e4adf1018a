import type { Baseline } from "../../baselines.ts";
import { stateOfCell } from "../../statistics/state-of-cell.ts";
import { longestStep, stepAt } from "../../statistics/step-costs.ts";
import type { TaskData, VariantData } from "../report-data.ts";
import { h, svg } from "./dom.ts";
import { bytesText, countText, durationText, figureText, grouped, none, plain, spreadText } from "./format.ts";
import { intervalScale } from "./interval-scale.ts";
import { markerOf } from "./marker.ts";
import { rankName, rankText } from "./rank-text.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { type Column, dataTable, type Sort } from "./table.ts";

type Row = VariantData | { readonly baseline: Baseline };

/** All variants of a task, ranked, with what they cost. */
export function leaderboard(store: Store): Section {
  let sort: Sort | undefined;
  return section(store, {
    id: "leaderboard",
    title: "Leaderboard",
    lead: () => leadText(store),
    fill: () => {
      const { about, variants } = store.task();
      const isFiltered = store.matching().length < variants.length;
      const rows: Row[] = [
        ...store.matching(),
        ...(isFiltered ? [] : about.baselines.map((baseline) => ({ baseline }))),
      ];
      const columns = columnsOf(store);
      if (sort === undefined || !columns.some(({ name }) => name === sort!.column)) {
        // Where nothing was trained, by the first cost.
        const first = columns.find(({ name }) => name === store.task().metric.label) ?? columns[1]!;
        sort = { column: first.name, descending: first.largestFirst ?? false };
      }
      const table = dataTable({
        caption: `Leaderboard of ${about.title}`,
        columns,
        rows,
        rowClass: (row) => ("baseline" in row ? "baseline" : isBest(row, store.task()) ? "best" : undefined),
        cards: true,
        sort,
        onSort: (next) => {
          sort = next;
        },
      });
      return [h("h3", { class: "task-title" }, about.title), table];
    },
  });
}

function leadText(store: Store): string {
  const { metric, runs, seeds } = store.task();
  if (runs.length === 0) return "Nothing was trained on this task: sizes and costs only.";
  const how = `Ranked by ${metric.label} on the test split at the training length; ${metric.better} is better.`;
  return seeds > 1
    ? `${how} Variants that share the first rank cannot be told from the best (Holm's correction); further ranks are in the order of means. ± is half of a 95 % interval over ${seeds} seeds.`
    : `${how} One seed: the order may be chance.`;
}

function columnsOf(store: Store): Column<Row>[] {
  const task = store.task();
  const { metric, about } = task;
  const others = about.metrics.filter(({ name }) => name !== metric.name);
  const ofVariant =
    <T>(value: (variant: VariantData) => T) =>
    (row: Row): T | undefined =>
      "baseline" in row ? undefined : value(row);
  const score = (name: string) => (row: Row) =>
    "baseline" in row ? row.baseline.metrics[name] : row.result?.metrics[name]?.mean;
  const scoreText = (name: string) => (row: Row) =>
    "baseline" in row ? figureText(row.baseline.metrics[name]) : spreadText(row.result?.metrics[name]);
  const number = (
    name: string,
    value: (variant: VariantData) => number | undefined,
    text: (value: number | undefined) => string,
    more: Partial<Column<Row>> = {},
  ): Column<Row> => ({
    name,
    value: ofVariant(value),
    cell: (row) => ("baseline" in row ? "" : text(value(row))),
    ...more,
  });
  const bar = intervals(store);
  const stateOf = ({ cell }: VariantData) => stateOfCell(cell, about.trainLength)?.bytes;
  const longest = longestStep(task.variants);
  const isAny = (value: (variant: VariantData) => number | undefined) =>
    task.variants.some((one) => value(one) !== undefined);
  const columns: Column<Row>[] = [
    {
      name: "variant",
      text: true,
      class: "name",
      value: (row) => ("baseline" in row ? row.baseline.name : row.variant),
      cell: (row) => nameCell(row, store),
    },
    {
      name: rankName(task.seeds),
      value: ofVariant(({ result }) => result?.place),
      cell: (row) => ("baseline" in row ? "" : standing(row, task)),
      class: "rank",
    },
    {
      name: metric.label,
      value: score(metric.name),
      cell: scoreText(metric.name),
      class: "score",
      largestFirst: metric.better === "higher",
    },
    ...(bar === undefined ? [] : [{ name: "95 % interval", about: intervalAbout, cell: bar, class: "interval" }]),
    ...others.map(
      (other): Column<Row> => ({
        name: other.label,
        value: score(other.name),
        cell: scoreText(other.name),
        largestFirst: other.better === "higher",
        minor: true,
      }),
    ),
    number("train tokens/s", ({ result }) => result?.trainTokensPerSecond?.mean, countText, { largestFirst: true }),
    number("eval tokens/s", ({ result }) => result?.evalTokensPerSecond?.mean, countText, {
      largestFirst: true,
      minor: true,
    }),
    number("peak memory", ({ result }) => result?.peakBytes?.mean, bytesText),
    number("parameters", ({ cell }) => cell?.parameters, countText, { minor: true }),
    number("FLOPs per token", ({ cell }) => cell?.flopsPerToken, countText, {
      about: "of a training step",
      minor: true,
    }),
    ...(isAny(stateOf)
      ? [number("state", stateOf, bytesText, { about: "what one row keeps of the past at the training length" })]
      : []),
    number("time", ({ result }) => result?.seconds?.mean, durationText, {
      about: "of training and final evaluation",
      minor: true,
    }),
    {
      name: "equal settings",
      text: true,
      class: "parity",
      value: ofVariant(({ cell }) => cell?.unequal.length),
      cell: parityCell,
    },
  ];
  if (task.runs.length > 0) return columns;
  const steps = [
    number(`tokens/s at ${grouped(longest)}`, (one) => stepAt(one, longest)?.tokensPerSecond, countText, {
      largestFirst: true,
    }),
    number(`memory at ${grouped(longest)}`, (one) => stepAt(one, longest)?.peakBytes, bytesText),
  ];
  // Where nothing was trained, what a run would have told is left away.
  const isSaid = ({ text, value }: Column<Row>) =>
    text === true || task.variants.some((variant) => value?.(variant) !== undefined);
  return [columns[0]!, ...steps, ...columns.slice(1)].filter(isSaid);
}

function nameCell(row: Row, store: Store): HTMLElement {
  if ("baseline" in row) {
    const { name, knowsAnswers } = row.baseline;
    const tag = knowsAnswers ? "oracle" : "baseline";
    return h("span", { class: "variant" }, h("span", { class: "tag" }, tag), h("span", {}, name));
  }
  return h("span", { class: "variant" }, markerOf(store.slotOf(row.variant)), h("span", {}, row.variant));
}

function standing({ result }: VariantData, { seeds }: TaskData): string {
  const isFailed = result?.rank === undefined && (result?.failures.length ?? 0) > 0;
  return isFailed ? "failed" : rankText(result, seeds);
}

/** Whether it is told from some others and from nothing that is better: where all share the first rank, none is marked. */
function isBest({ result }: VariantData, { variants }: TaskData): boolean {
  const ranked = variants.filter((one) => one.result?.rank !== undefined).length;
  return result?.rank?.from === 1 && result.interval !== undefined && (ranked === 1 || result.rank.to < ranked);
}

function parityCell(row: Row): HTMLElement | string {
  if ("baseline" in row || row.cell === undefined) return "";
  const { unequal } = row.cell;
  return unequal.length === 0
    ? h("span", { class: "equal" }, "✓ equal")
    : h("span", { class: "unequal" }, `≠ ${unequal.join("; ")}`);
}

const intervalAbout = "where the mean over all seeds is expected; an arrowhead: it goes on beyond the scale";

/** Pixels of a whisker: its whole width, and what arrowheads take at each end. */
const [whisker, margin] = [110, 7];

/** A whisker for each variant, all on one scale; nothing where there are no intervals. */
function intervals(store: Store): ((row: Row) => HTMLElement | SVGElement | string) | undefined {
  const task = store.task();
  const ranges = task.variants.flatMap(({ result }) => (result?.interval === undefined ? [] : [result.interval]));
  if (ranges.length === 0) return undefined;
  const [low, high] = intervalScale(ranges);
  const at = (value: number) => margin + ((value - low) / (high - low)) * (whisker - 2 * margin);
  return (row) => {
    if ("baseline" in row) return "";
    const [mean, interval] = [row.result?.metrics[task.metric.name]?.mean, row.result?.interval];
    if (mean === undefined || interval === undefined) return none;
    const [from, to] = [at(Math.max(low, interval[0])), at(Math.min(high, interval[1]))];
    const colour = `var(--series-${store.slotOf(row.variant) % 8})`;
    const arrow = (end: number, tip: number) => svg("path", { d: `M${end} -4L${tip} 0L${end} 4Z`, fill: colour });
    return h(
      "span",
      { class: "whisker", title: `${figureText(interval[0])} to ${figureText(interval[1])}` },
      svg(
        "svg",
        {
          width: whisker,
          height: 14,
          viewBox: `0 -7 ${whisker} 14`,
          role: "img",
          "aria-label": `${plain(interval[0], 4)} to ${plain(interval[1], 4)}`,
        },
        svg("path", { d: `M0 0H${whisker}`, stroke: "var(--rule)", "stroke-width": 1 }),
        svg("path", { d: `M${from} 0H${Math.max(to, from + 1)}`, stroke: colour, "stroke-width": 3, opacity: 0.55 }),
        svg("circle", { cx: at(mean), cy: 0, r: 3, fill: colour }),
        ...(interval[0] < low ? [arrow(margin, 0)] : []),
        ...(interval[1] > high ? [arrow(whisker - margin, whisker)] : []),
      ),
    );
  };
}
