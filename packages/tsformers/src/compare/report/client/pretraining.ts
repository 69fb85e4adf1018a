import { differenceText } from "../../text/figure-text.ts";
import type { ResultData, VariantData } from "../report-data.ts";
import { h } from "./dom.ts";
import { none, spreadText } from "./format.ts";
import { markerOf } from "./marker.ts";
import { rankName, rankText } from "./rank-text.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { dataTable } from "./table.ts";

/** Ranks before and after training on the task's own inputs. */
export function pretraining(store: Store): Section {
  return section(store, {
    id: "pretraining",
    title: "With self-pretraining",
    lead: () =>
      `The same variants, first trained on the task's own inputs under the same budget. Does the ranking survive?${store.task().seeds > 1 ? " A star marks changes whose 95 % interval excludes 0." : ""}`,
    fill: () => {
      const { metric, seeds } = store.task();
      const rows = store.matching().filter(({ pretrained }) => pretrained !== undefined);
      if (rows.length === 0) return [];
      const mean = (result: ResultData | undefined) => result?.metrics[metric.name]?.mean;
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
          {
            name: `${rankName(seeds)} without`,
            value: ({ result }) => result?.place,
            cell: ({ result }) => rankText(result, seeds),
          },
          {
            name: `${rankName(seeds)} with`,
            value: ({ pretrained }) => pretrained?.place,
            cell: ({ pretrained }) => rankText(pretrained, seeds),
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
            value: ({ change }) => change?.difference,
            cell: ({ change }) => (change === undefined ? none : differenceText(change)),
          },
        ],
      });
      return [table];
    },
  });
}
