import type { ResultData, VariantData } from "../report-data.ts";
import { h } from "./dom.ts";
import { figureText, none, spreadText } from "./format.ts";
import { markerOf } from "./marker.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { dataTable } from "./table.ts";

/** Ranks before and after training on the task's own inputs. */
export function pretraining(store: Store): Section {
  return section(store, {
    id: "pretraining",
    title: "With self-pretraining",
    lead: () =>
      "The same variants, first trained on the task's own inputs under the same budget. Does the ranking survive?",
    fill: () => {
      const { metric } = store.task();
      const rows = store.matching().filter(({ pretrained }) => pretrained !== undefined);
      if (rows.length === 0) return [];
      const mean = (result: ResultData | undefined) => result?.metrics[metric.name]?.mean;
      const gain = ({ result, pretrained }: VariantData) => {
        const [before, after] = [mean(result), mean(pretrained)];
        return before === undefined || after === undefined ? undefined : after - before;
      };
      const table = dataTable<VariantData>({
        caption: "With self-pretraining",
        cards: true,
        rows,
        columns: [
          {
            name: "variant",
            text: true,
            class: "name",
            value: ({ variant }) => variant,
            cell: ({ variant }) =>
              h("span", { class: "variant" }, markerOf(store.slotOf(variant)), h("span", {}, variant)),
          },
          { name: "rank without", value: ({ result }) => result?.rank?.from, cell: ({ result }) => rankText(result) },
          {
            name: "rank with",
            value: ({ pretrained }) => pretrained?.rank?.from,
            cell: ({ pretrained }) => rankText(pretrained),
          },
          {
            name: `${metric.label} without`,
            value: ({ result }) => mean(result),
            cell: ({ result }) => spreadText(result?.metrics[metric.name]),
            largestFirst: metric.better === "higher",
          },
          {
            name: `${metric.label} with`,
            value: ({ pretrained }) => mean(pretrained),
            cell: ({ pretrained }) => spreadText(pretrained?.metrics[metric.name]),
            largestFirst: metric.better === "higher",
          },
          {
            name: "change",
            value: gain,
            cell: (row) => {
              const change = gain(row);
              return change === undefined ? none : `${change < 0 ? "−" : "+"}${figureText(Math.abs(change))}`;
            },
          },
        ],
      });
      return [table];
    },
  });
}

function rankText(result: ResultData | undefined): string {
  const rank = result?.rank;
  if (rank === undefined) return none;
  return rank.from === rank.to ? String(rank.from) : `${rank.from}–${rank.to}`;
}
