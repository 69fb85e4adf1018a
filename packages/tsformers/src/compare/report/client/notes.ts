import { h } from "./dom.ts";
import { type Section, section } from "./section.ts";
import type { Store } from "./store.ts";

/** Failed runs, empty cells, and in what variants are not equal. */
export function notes(store: Store): Section {
  return section(store, {
    id: "notes",
    title: "Failures and notes",
    fill: () => {
      const task = store.task();
      const failures = task.runs.flatMap((run) =>
        "failure" in run
          ? [{ who: `${run.variant}, seed ${run.seed}${run.pretrained ? ", pretrained" : ""}`, text: run.failure }]
          : [],
      );
      const unequal = task.variants.flatMap(({ variant, cell }) =>
        cell === undefined || cell.unequal.length === 0 ? [] : [`${variant}: ${cell.unequal.join("; ")}`],
      );
      const seeds = task.variants.flatMap(({ variant, result }) =>
        result !== undefined && result.failures.length > 0 && result.seeds.length > 0
          ? [
              `${variant}: its figures are of ${result.seeds.length} of ${result.seeds.length + result.failures.length} seeds`,
            ]
          : [],
      );
      return [
        ...(failures.length === 0
          ? []
          : [
              h("h3", {}, "Failed runs"),
              h(
                "ul",
                { class: "failures" },
                ...failures.map(({ who, text }) => h("li", {}, h("b", {}, who), h("pre", {}, text))),
              ),
            ]),
        ...list("Not equal to the others", unequal),
        ...list("Notes", [...seeds, ...task.notes]),
      ];
    },
  });
}

function list(title: string, texts: readonly string[]): HTMLElement[] {
  return texts.length === 0 ? [] : [h("h3", {}, title), h("ul", {}, ...texts.map((text) => h("li", {}, text)))];
}
