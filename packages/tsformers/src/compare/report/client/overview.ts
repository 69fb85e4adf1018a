import type { VariantData } from "../report-data.ts";
import { h } from "./dom.ts";
import { none, plain, spreadText } from "./format.ts";
import { markerOf } from "./marker.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { type Column, dataTable } from "./table.ts";

/** Ranks of all variants on all tasks, side by side, where there are several tasks. */
export function overview(store: Store): Section {
  return section(store, {
    id: "overview",
    title: "All tasks",
    lead: () => "The ranking figure of each task, and below it the rank.",
    fill: () => {
      const { tasks, variants } = store.data;
      if (tasks.length < 2 || tasks.every(({ runs }) => runs.length === 0)) return [];
      const words = store.state().words.toLowerCase().split(/\s+/);
      const shown = variants.filter((variant) => words.every((word) => variant.toLowerCase().includes(word)));
      const on = (variant: string): (VariantData | undefined)[] =>
        tasks.map((task) => task.variants.find((one) => one.variant === variant));
      const meanRank = (variant: string): number | undefined => {
        const ranks = on(variant).map((one) => one?.result?.rank);
        if (ranks.some((rank) => rank === undefined)) return undefined;
        return ranks.reduce((sum, rank) => sum + (rank!.from + rank!.to) / 2, 0) / ranks.length;
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
          name: "mean rank",
          about: "the middle of its ranks, mean over tasks",
          value: meanRank,
          cell: (one) => {
            const rank = meanRank(one);
            return rank === undefined ? none : plain(rank, 3);
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
              const rank = result?.rank;
              if (figure === undefined) return none;
              const text =
                rank === undefined ? "" : rank.from === rank.to ? `rank ${rank.from}` : `ranks ${rank.from}–${rank.to}`;
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
          sort: { column: "mean rank", descending: false },
        }),
      ];
    },
  });
}
