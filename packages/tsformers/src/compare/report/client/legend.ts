import { h } from "./dom.ts";
import { markerOf } from "./marker.ts";
import { drawnAtFirst, type Store } from "./store.ts";

/** Names with their markers, to be pressed: what is not pressed is not drawn, in any chart. */
export function legend(store: Store, variants: readonly string[]): HTMLElement {
  const { hidden } = store.state();
  const items = variants.map((variant) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(!hidden.has(variant)),
          title: "show or hide in all charts",
          click: () => {
            const next = new Set(hidden);
            if (!next.delete(variant)) next.add(variant);
            store.set({ hidden: next });
          },
        },
        markerOf(store.slotOf(variant)),
        h("span", {}, variant),
      ),
    ),
  );
  const all = store.task().variants.map(({ variant }) => variant);
  const command = (text: string, next: ReadonlySet<string>) =>
    h("button", { type: "button", class: "link", click: () => store.set({ hidden: next }) }, text);
  const worse = store.task().variants.slice(drawnAtFirst);
  const commands =
    variants.length < 5
      ? []
      : [
          command("all", new Set()),
          command("none", new Set(all)),
          ...(worse.length === 0
            ? []
            : [command(`best ${drawnAtFirst}`, new Set(worse.map(({ variant }) => variant)))]),
        ];
  const shown = variants.filter((variant) => !hidden.has(variant)).length;
  const count =
    commands.length === 0 ? undefined : h("span", { class: "count" }, `${shown} of ${variants.length} shown:`);
  return h(
    "div",
    { class: "legend" },
    commands.length === 0 ? undefined : h("div", { class: "legend-commands" }, count, ...commands),
    h("ul", {}, ...items),
  );
}
