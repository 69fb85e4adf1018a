import { h, refill } from "./dom.ts";
import { legend } from "./legend.ts";
import type { Store } from "./store.ts";

/** A part of the report. */
export type Section = { readonly element: HTMLElement; readonly title: string };

/** A section; `fill` gives what it contains now, nothing where there is nothing to show. */
export function section(
  store: Store,
  { id, title, lead, fill }: { id: string; title: string; lead?: () => string; fill: () => readonly HTMLElement[] },
): Section {
  const text = h("p", { class: "lead" });
  const content = h("div", {});
  const element = h(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    text,
    content,
  );
  const update = () => {
    text.textContent = lead?.() ?? "";
    text.hidden = text.textContent === "";
    content.replaceChildren(...fill());
    element.hidden = content.childElementCount === 0;
  };
  store.onChange(update);
  update();
  return { element, title };
}

export type ChartSectionOptions = {
  readonly id: string;
  readonly title: string;
  readonly lead?: string;
  readonly charts: readonly { readonly element: HTMLElement }[];
  /** Variants of a legend for all charts together, for charts that have none. */
  readonly legend?: () => readonly string[];
};

/** A section of charts, which draw themselves anew; it is hidden where all of them are. */
export function chartSection(
  store: Store,
  { id, title, lead, charts, legend: variants }: ChartSectionOptions,
): Section {
  const legendBox = h("div", { class: "legend-box" });
  const element = h(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    lead === undefined ? undefined : h("p", { class: "lead" }, lead),
    h("div", { class: charts.length > 1 ? "charts" : "" }, ...charts.map((chart) => chart.element)),
    variants === undefined ? undefined : legendBox,
  );
  const update = () => {
    element.hidden = charts.every((chart) => chart.element.hidden);
    if (variants !== undefined) refill(legendBox, legend(store, variants()));
  };
  store.onChange(update);
  update();
  return { element, title };
}
