import type { Trial } from "../../results.ts";
import type { TaskData } from "../report-data.ts";
import { h } from "./dom.ts";
import { figureText, grouped, none } from "./format.ts";
import { markerOf } from "./marker.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";
import { type Column, dataTable } from "./table.ts";

/** The tries of a search, rung by rung. */
export function trials(store: Store): Section {
  return section(store, {
    id: "trials",
    title: "Search",
    lead: () =>
      "Every try of the search, with its validation loss after so many steps. Tries that were worse than others at a rung were stopped there.",
    fill: () => {
      const task = store.task();
      const matching = new Set(store.matching().map(({ variant }) => variant));
      const shown = task.trials.filter(({ variant }) => matching.has(variant));
      return shown.length === 0 ? [] : [table(shown, task, store)];
    },
  });
}

function table(shown: readonly Trial[], { trials: all }: TaskData, store: Store): HTMLElement {
  const settings = [...new Set(all.flatMap((trial) => Object.keys(trial.settings)))];
  const rungs = [...new Set(all.flatMap((trial) => trial.rungs.map(({ step }) => step)))].sort((a, b) => a - b);
  const best = new Map(
    rungs.map((rung) => [rung, Math.min(...all.flatMap((trial) => lossAt(trial, rung) ?? []))] as const),
  );
  const columns: Column<Trial>[] = [
    {
      name: "variant",
      text: true,
      class: "name",
      value: ({ variant }) => variant,
      cell: ({ variant }) => h("span", { class: "variant" }, markerOf(store.slotOf(variant)), h("span", {}, variant)),
    },
    ...settings.map(
      (name): Column<Trial> => ({
        name,
        value: (trial) => numeric(trial.settings[name]),
        cell: (trial) => trial.settings[name] ?? none,
      }),
    ),
    ...rungs.map(
      (rung): Column<Trial> => ({
        name: `${grouped(rung)} steps`,
        value: (trial) => lossAt(trial, rung),
        cell: (trial) => {
          const loss = lossAt(trial, rung);
          if (loss === undefined) return h("span", { class: "stopped" }, none);
          return loss === best.get(rung) ? h("b", {}, figureText(loss)) : figureText(loss);
        },
      }),
    ),
    {
      name: "outcome",
      text: true,
      value: (trial) => outcome(trial),
      cell: (trial) => (trial.chosen ? h("span", { class: "equal" }, "✓ chosen") : outcome(trial)),
    },
  ];
  return dataTable({
    caption: "Tries of the search",
    columns,
    rows: shown,
    cards: true,
    rowClass: ({ chosen }) => (chosen ? "best" : undefined),
  });
}

function lossAt({ rungs }: Trial, at: number): number | undefined {
  return rungs.find(({ step }) => step === at)?.loss;
}

function numeric(text: string | undefined): number | string | undefined {
  return text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

function outcome({ chosen, failure, rungs }: Trial): string {
  if (chosen) return "chosen";
  if (failure !== undefined) return `failed: ${failure}`;
  return rungs.length === 0 ? "not begun" : `stopped after ${grouped(rungs.at(-1)!.step)} steps`;
}
