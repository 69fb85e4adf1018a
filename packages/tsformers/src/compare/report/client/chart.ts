import type { VariantData } from "../report-data.ts";
import type { ChartSpec } from "./chart-spec.ts";
import { chartTable } from "./chart-table.ts";
import { h, refill, toggle } from "./dom.ts";
import { makeDrawing } from "./draw.ts";
import { legend } from "./legend.ts";
import type { Store } from "./store.ts";

export type ChartOptions = {
  readonly title: string;
  readonly lead?: () => string;
  /** Buttons of its own. */
  readonly controls?: () => readonly HTMLElement[];
  /** Undefined: there is nothing to draw. */
  readonly spec: (variants: readonly VariantData[]) => ChartSpec | undefined;
  /** Whether it has a legend of its own. Default: true. */
  readonly legend?: boolean;
  /** Below the chart. */
  readonly below?: (variants: readonly VariantData[]) => readonly HTMLElement[];
};

/** A chart of its own that can be drawn anew. */
export type ChartFigure = { readonly element: HTMLElement; update(): void };

/** What is not drawn, by reasons. */
function absentText({ absent = [] }: ChartSpec): string {
  const texts = [...new Set(absent.map(({ reason }) => reason))].map((reason) => {
    const those = absent.flatMap((one) => (one.reason === reason ? [one.variant] : []));
    return `${those.join(", ")} (${reason})`;
  });
  return texts.length === 0 ? "" : `Not drawn: ${texts.join("; ")}.`;
}

/** Width of a chart on paper, in pixels: A4 and Letter with their margins. */
const paperWidth = 660;

/** A chart with its title, legend, and the same numbers as a table. */
export function chartFigure(store: Store, options: ChartOptions): ChartFigure {
  const canvas = h("div", { class: "canvas", role: "img" });
  const drawing = makeDrawing(canvas, store.slotOf);
  const [controls, below, tableBox] = [h("div", { class: "controls" }), h("div", { class: "below" }), h("div", {})];
  const [yLabel, xLabel] = [h("div", { class: "y-label" }), h("div", { class: "x-label" })];
  const [legendBox, absent] = [h("div", { class: "legend-box" }), h("p", { class: "absent" })];
  const lead = h("p", {});
  const drawn = h("div", { class: "drawn" }, yLabel, canvas, xLabel);
  const element = h(
    "figure",
    { class: "chart" },
    h(
      "div",
      { class: "chart-head" },
      h("figcaption", {}, h("h3", {}, options.title), options.lead === undefined ? undefined : lead),
      controls,
    ),
    drawn,
    tableBox,
    legendBox,
    absent,
    below,
  );
  let asTable = false;
  let width = 0;

  function update(): void {
    const all = options.spec(store.matching());
    const spec = options.spec(store.drawn());
    element.hidden = all === undefined;
    if (all === undefined) return;
    const names = [...new Set(all.series.map(({ variant }) => variant))];
    const tableButton = toggle("Show as table", asTable, () => {
      asTable = !asTable;
      update();
    });
    lead.textContent = options.lead?.() ?? "";
    refill(controls, ...(options.controls?.() ?? []), tableButton);
    if (options.legend ?? true) refill(legendBox, legend(store, names));
    absent.textContent = absentText(all);
    below.replaceChildren(...(options.below?.(store.drawn()) ?? []));
    const isEmpty = spec === undefined || spec.series.every(({ points }) => points.length === 0);
    drawn.hidden = asTable;
    tableBox.replaceChildren(...(asTable && !isEmpty ? [chartTable(spec)] : []));
    canvas.hidden = isEmpty;
    yLabel.textContent = isEmpty ? "No variant is shown: choose some below." : all.y.label;
    xLabel.textContent = isEmpty ? "" : all.x.label;
    if (asTable || isEmpty || width === 0) return;
    canvas.setAttribute("aria-label", spec.summary);
    drawing.draw(spec, { width, height: width < 560 ? 280 : 340 });
  }

  function resize(to: number): void {
    const next = Math.floor(to);
    if (next === width || next === 0) return;
    width = next;
    update();
  }
  const ownWidth = () => drawn.getBoundingClientRect().width;
  new ResizeObserver(() => resize(ownWidth())).observe(drawn);
  matchMedia("print").addEventListener("change", ({ matches }) => resize(matches ? paperWidth : ownWidth()));
  store.onChange(update);
  update();
  return { element, update };
}
