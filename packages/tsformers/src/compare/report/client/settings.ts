import type { RunData, VariantData } from "../report-data.ts";
import { h } from "./dom.ts";
import { durationText, figureText, grouped, none } from "./format.ts";
import { markerOf } from "./marker.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { type Column, dataTable } from "./table.ts";

/** Every setting of every variant. */
export function settings(store: Store): Section {
  return section(store, {
    id: "settings",
    title: "Settings",
    lead: () => "What differs between variants, one column each, and what is the same for all of them.",
    fill: () => {
      const { variants, commonSettings } = store.task();
      const names = [...new Set(variants.flatMap((one) => Object.keys(one.settings)))];
      const own: Column<VariantData>[] = [
        nameColumn(store),
        ...names.map(
          (name): Column<VariantData> => ({
            name,
            value: ({ settings: given }) => numeric(given[name]),
            cell: ({ settings: given }) => given[name] ?? none,
          }),
        ),
      ];
      const common = Object.entries(commonSettings).map(([name, text]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, text)),
      );
      return [
        ...(names.length === 0
          ? []
          : [
              h("h3", {}, "What differs"),
              dataTable({ caption: "Settings that differ", columns: own, rows: store.matching() }),
            ]),
        ...(common.length === 0
          ? []
          : [
              h(
                "details",
                { open: true },
                h("summary", {}, `The same for all (${common.length})`),
                h("dl", { class: "settings" }, ...common),
              ),
            ]),
      ];
    },
  });
}

/** Every run by itself. */
export function runs(store: Store): Section {
  return section(store, {
    id: "runs",
    title: "Runs",
    fill: () => {
      const { runs: all, metric } = store.task();
      const matching = new Set(store.matching().map(({ variant }) => variant));
      const rows = all.filter(({ variant }) => matching.has(variant));
      if (rows.length === 0) return [];
      const done =
        <T>(value: (run: Extract<RunData, { steps: number }>) => T) =>
        (run: RunData) =>
          "failure" in run ? undefined : value(run);
      const score = done(({ metrics }) => metrics[metric.name]);
      const columns: Column<RunData>[] = [
        nameColumn(store),
        { name: "seed", value: ({ seed }) => seed, cell: ({ seed }) => String(seed) },
        ...(all.some(({ pretrained }) => pretrained)
          ? [
              {
                name: "pretrained",
                value: ({ pretrained }: RunData) => Number(pretrained),
                cell: ({ pretrained }: RunData) => (pretrained ? "yes" : "no"),
              },
            ]
          : []),
        {
          name: metric.label,
          value: score,
          cell: (run) => ("failure" in run ? h("span", { class: "failed" }, "failed") : figureText(score(run))),
          largestFirst: metric.better === "higher",
        },
        {
          name: "steps",
          value: done(({ steps }) => steps),
          cell: (run) => ("failure" in run ? none : grouped(run.steps)),
        },
        {
          name: "tokens",
          value: done(({ tokens }) => tokens),
          cell: (run) => ("failure" in run ? none : grouped(run.tokens)),
        },
        {
          name: "time",
          value: done(({ seconds }) => seconds),
          cell: (run) => ("failure" in run || run.seconds === undefined ? none : durationText(run.seconds)),
        },
        {
          name: "made",
          text: true,
          cell: (run) => ("failure" in run ? "" : run.reused ? "earlier" : "in this comparison"),
        },
      ];
      return [
        h("details", {}, h("summary", {}, `All ${rows.length} runs`), dataTable({ caption: "Runs", columns, rows })),
      ];
    },
  });
}

function nameColumn<Row extends { readonly variant: string }>(store: Store): Column<Row> {
  return {
    name: "variant",
    text: true,
    class: "name",
    value: ({ variant }) => variant,
    cell: ({ variant }) => h("span", { class: "variant" }, markerOf(store.slotOf(variant)), h("span", {}, variant)),
  };
}

function numeric(text: string | undefined): number | string | undefined {
  return text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
