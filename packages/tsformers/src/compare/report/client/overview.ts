import type { VariantData } from "../report-data.ts";
import { h } from "./dom.ts";
import { none, plain, spreadText } from "./format.ts";
import { markerOf } from "./marker.ts";
import { rankText } from "./rank-text.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { type Column, dataTable } from "./table.ts";

/** Ranks of all variants on all tasks, side by side, where there are several tasks. */
export function overview(store: Store): Section {
  return section(store, {
    id: "overview",
    title: "All tasks",
    lead: () =>
      store.data.tasks.some(({ seeds }) => seeds > 1)
        ? "The ranking figure of each task, and below it the rank."
        : "The ranking figure of each task, and below it the place in the order; one seed: the order may be chance.",
    fill: () => {
      const { tasks, variants } = store.data;
      if (tasks.length < 2 || tasks.every(({ runs }) => runs.length === 0)) return [];
      const words = store.state().words.toLowerCase().split(/\s+/);
      const shown = variants.filter((variant) => words.every((word) => variant.toLowerCase().includes(word)));
      const on = (variant: string): (VariantData | undefined)[] =>
        tasks.map((task) => task.variants.find((one) => one.variant === variant));
      const meanPlace = (variant: string): number | undefined => {
        const places = on(variant).flatMap((one) => one?.result?.place ?? []);
        if (places.length < tasks.filter(({ seeds }) => seeds > 0).length) return undefined;
        return places.reduce((sum, place) => sum + place, 0) / places.length;
      };
      const columns: Column<string>[] = [
        {
          name: "variant",
          text: true,
          class: "name",
          value: (one) => one,
          cell: (one) => h("span", { class: "variant" }, markerOf(store.slotOf(one)), h("span", {}, one)),
        },
        {
          name: "mean place",
          about: "its place in the order of means, mean over tasks",
          value: meanPlace,
          cell: (one) => {
            const place = meanPlace(one);
            return place === undefined ? none : plain(place, 3);
          },
        },
        ...tasks.map(
          (task, i): Column<string> => ({
            name: `${task.about.label}: ${task.metric.label}`,
            largestFirst: task.metric.better === "higher",
            value: (one) => on(one)[i]?.result?.metrics[task.metric.name]?.mean,
            cell: (one) => {
              const result = on(one)[i]?.result;
              const figure = result?.metrics[task.metric.name];
              if (figure === undefined) return none;
              const text =
                result?.rank === undefined
                  ? ""
                  : `${task.seeds > 1 ? "rank" : "place"} ${rankText(result, task.seeds)}`;
              return h("span", { class: "two" }, h("span", {}, spreadText(figure)), h("small", {}, text));
            },
          }),
        ),
      ];
      return [
        dataTable({
          caption: "All tasks",
          columns,
          rows: shown,
          cards: true,
          sort: { column: "mean place", descending: false },
        }),
      ];
    },
  });
}
