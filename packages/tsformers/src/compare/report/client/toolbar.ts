import { chipsOf } from "./chips.ts";
import { h, refill, toggle } from "./dom.ts";
import type { Section } from "./section.ts";
import { firstHidden, type Store } from "./store.ts";
import { themeButton } from "./theme.ts";

/** Stays in sight: the task, the filter, the sections, the theme. */
export function toolbar(store: Store, sections: readonly Section[]): HTMLElement {
  const tasks = store.data.tasks;
  const picker = h("select", {
    "aria-label": "task",
    change: () => {
      const task = Number(picker.value);
      store.set({ task, chips: new Set(), hidden: firstHidden(tasks[task]) });
    },
  });
  tasks.forEach(({ about }, i) => {
    picker.append(h("option", { value: String(i) }, about.label));
  });
  const filter = h("input", {
    type: "search",
    placeholder: "Filter variants",
    "aria-label": "filter variants by words",
    input: () => store.set({ words: filter.value }),
  });
  const jump = h("select", {
    class: "jump",
    "aria-label": "go to a section",
    change: () => {
      document.getElementById(jump.value)?.scrollIntoView();
      jump.value = "";
    },
  });
  const [chips, found] = [
    h("div", { class: "chips", role: "group", "aria-label": "filter variants" }),
    h("span", { class: "count", "aria-live": "polite" }),
  ];
  const update = () => {
    const { chips: pressed } = store.state();
    const known = chipsOf(store.task());
    refill(
      chips,
      ...known.map(({ name }) =>
        toggle(name, pressed.has(name), () => {
          const next = new Set(pressed);
          if (!next.delete(name)) next.add(name);
          store.set({ chips: next });
        }),
      ),
    );
    chips.hidden = known.length === 0;
    const [matching, all] = [store.matching().length, store.task().variants.length];
    found.textContent = matching === all ? `${all} variants` : `${matching} of ${all} variants`;
    jump.replaceChildren(
      h("option", { value: "" }, "Go to …"),
      ...sections
        .filter(({ element }) => !element.hidden)
        .map(({ element, title }) => h("option", { value: element.id }, title)),
    );
  };
  store.onChange(update);
  update();
  return h(
    "div",
    { class: "toolbar" },
    h(
      "div",
      { class: "tools" },
      tasks.length > 1 ? h("label", { class: "picker" }, "Task", picker) : undefined,
      filter,
      found,
      h("span", { class: "gap" }),
      jump,
      themeButton(),
    ),
    chips,
  );
}
